package portal

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Instructions tell a model what the portal is for.
func (p *Portal) Instructions() string {
	return fmt.Sprintf("The goals and deliverables that %s has agreed on with its agency. "+
		"Before planning or building something for %[1]s, list the goals and the deliverables that serve them, "+
		"and hold the work against the acceptance criteria. The portal is read-only.", p.name)
}

// Register adds the portal's tools to a guarded server. revision names the running
// version of the server to callers, and may be empty.
func (p *Portal) Register(g *guard.Guard, revision string) {
	guard.AddTool(g, guard.Viewer, &mcp.Tool{
		Name:        "whoami",
		Title:       "Who am I",
		Description: "Tells as whom the server knows you, and which client's portal this is.",
		Annotations: readOnly(),
	}, p.whoami(revision))
	guard.AddTool(g, guard.Viewer, &mcp.Tool{
		Name:         "list_goals",
		Title:        "List goals",
		Description:  "Lists the goals agreed with the client, by target date.",
		Annotations:  readOnly(),
		InputSchema:  schema[listGoalsIn](),
		OutputSchema: schema[listGoalsOut](),
	}, p.listGoals)
	guard.AddTool(g, guard.Viewer, &mcp.Tool{
		Name:         "list_deliverables",
		Title:        "List deliverables",
		Description:  "Lists the deliverables agreed with the client, by due date, with owner, status, dependencies and acceptance criteria.",
		Annotations:  readOnly(),
		InputSchema:  schema[listDeliverablesIn](),
		OutputSchema: schema[listDeliverablesOut](),
	}, p.listDeliverables)
}

// readOnly is true of all the portal's tools: they look into data that came
// with the server, and change nothing.
func readOnly() *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{
		ReadOnlyHint:    true,
		IdempotentHint:  true,
		DestructiveHint: new(bool),
		OpenWorldHint:   new(bool),
	}
}

type whoamiIn struct{}

type whoamiOut struct {
	Email    string `json:"email" jsonschema:"your e-mail address"`
	Client   string `json:"client" jsonschema:"the client whose portal this is"`
	Identity string `json:"identity" jsonschema:"how the server knows you: cloudrun, by the Google identity that Cloud Run has checked; dev, not at all"`
	Revision string `json:"revision,omitempty" jsonschema:"the running version of the server"`
}

func (p *Portal) whoami(revision string) mcp.ToolHandlerFor[whoamiIn, whoamiOut] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, _ whoamiIn) (*mcp.CallToolResult, whoamiOut, error) {
		caller, ok := identity.FromContext(ctx)
		if !ok {
			return nil, whoamiOut{}, errors.New("the caller is not known")
		}
		return nil, whoamiOut{
			Email:    caller.Email,
			Client:   p.client,
			Identity: string(caller.Mode),
			Revision: revision,
		}, nil
	}
}

type listGoalsIn struct {
	Status GoalStatus `json:"status,omitempty" jsonschema:"only goals that have this status"`
}

type listGoalsOut struct {
	Goals []Goal `json:"goals"`
}

func (p *Portal) listGoals(_ context.Context, _ *mcp.CallToolRequest, in listGoalsIn) (*mcp.CallToolResult, listGoalsOut, error) {
	return nil, listGoalsOut{Goals: p.Goals(in.Status)}, nil
}

type listDeliverablesIn struct {
	Goal   string            `json:"goal,omitempty" jsonschema:"only deliverables that serve the goal with this id"`
	Status DeliverableStatus `json:"status,omitempty" jsonschema:"only deliverables that have this status"`
}

type listDeliverablesOut struct {
	Deliverables []Deliverable `json:"deliverables"`
}

func (p *Portal) listDeliverables(_ context.Context, _ *mcp.CallToolRequest, in listDeliverablesIn) (*mcp.CallToolResult, listDeliverablesOut, error) {
	found, err := p.Deliverables(in.Goal, in.Status)
	return nil, listDeliverablesOut{Deliverables: found}, err
}

// schema is the JSON schema of T, in which the statuses are closed sets: a model
// sees what it may ask for, and anything else is refused with the list.
func schema[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[GoalStatus]():        enum(GoalStatuses),
		reflect.TypeFor[DeliverableStatus](): enum(DeliverableStatuses),
	}})
	if err != nil {
		panic(fmt.Sprintf("the schema of %T: %v", *new(T), err)) // depends on the types above alone
	}
	return s
}

func enum[T ~string](values []T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}
