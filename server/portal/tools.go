package portal

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// Instructions tell a model what the portal is for.
func (p *Portal) Instructions() string {
	text := fmt.Sprintf("The goals and deliverables that %s has agreed on with its agency. "+
		"Before planning or building something for %[1]s, list the goals and the deliverables that serve them, "+
		"and hold the work against the acceptance criteria. ", p.Title())
	if p.ReadOnly() {
		return text + "The portal is read-only."
	}
	return text + "Tell what was done with add_note and update_status, and propose what is missing with propose_deliverable."
}

// Register adds everything that the portal offers to a guarded server.
func (p *Portal) Register(g *guard.Guard) {
	p.registerReading(g)
	if !p.ReadOnly() {
		p.registerWriting(g)
	}
	p.registerExchange(g)
	p.registerResources(g)
	p.registerPrompts(g)
}

// reading and writing say what is true of a tool. None of them reaches beyond the
// portal. writing adds something, or changes what stays in the history as it was;
// calling it twice leaves two entries there. replacing leaves nothing of what was.
func reading() *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, DestructiveHint: new(bool), OpenWorldHint: new(bool)}
}

func writing() *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{DestructiveHint: new(bool), OpenWorldHint: new(bool)}
}

func replacing() *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{IdempotentHint: true, DestructiveHint: new(true), OpenWorldHint: new(bool)}
}

// addTool adds a tool whose statuses are closed sets: a model sees what it may
// ask for, and anything else is refused with the list.
func addTool[In, Out any](g *guard.Guard, needs guard.Role, tool *mcp.Tool, handler func(context.Context, Reader, In) (Out, error)) {
	tool.InputSchema, tool.OutputSchema = schema[In](), schema[Out]()
	guard.AddTool(g, needs, tool, func(ctx context.Context, _ *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		reader, err := readerFrom(ctx)
		if err != nil {
			return nil, *new(Out), err
		}
		out, err := handler(ctx, reader, in)
		return nil, out, err
	})
}

// readerFrom is the caller, as the portal sees one.
func readerFrom(ctx context.Context) (Reader, error) {
	caller, ok := identity.FromContext(ctx)
	if !ok {
		return Reader{}, errors.New("the caller is not known")
	}
	return Reader{
		ID: caller.Key(), Email: caller.Email, ClaimsByEmail: caller.ClaimsByEmail, Groups: caller.Groups, Role: guard.RoleFrom(ctx),
	}, nil
}

func schema[T any]() *jsonschema.Schema {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		reflect.TypeFor[GoalStatus]():        enum(GoalStatuses),
		reflect.TypeFor[DeliverableStatus](): enum(DeliverableStatuses),
		reflect.TypeFor[anyStatus]():         enum(anyStatuses()),
		reflect.TypeFor[format]():            enum(formats),
		reflect.TypeFor[pageLimit]():         within(1, maxPage),
		reflect.TypeFor[days]():              within(1, maxDays),
	}})
	if err != nil {
		panic(fmt.Sprintf("the schema of %T: %v", *new(T), err)) // depends on the types alone
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

func within(low, high float64) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Minimum: &low, Maximum: &high}
}

type nothing struct{}

type whoamiOut struct {
	Email    string `json:"email" jsonschema:"your e-mail address"`
	Subject  string `json:"subject" jsonschema:"your lasting name here, ISSUER#SUBJECT: a rule of the server's access settings names you by subject: and this"`
	Via      string `json:"via,omitempty" jsonschema:"the Google identity that opened the door, where it is not yours"`
	Role     string `json:"role" jsonschema:"what you may do here: viewer, contributor, manager or admin"`
	Client   string `json:"client" jsonschema:"the client whose portal this is"`
	Identity string `json:"identity" jsonschema:"how the server knows you: cloudrun, by the Google identity that Cloud Run has checked; oidc, by your own provider's token; dev, not at all"`
	Revision string `json:"revision,omitempty" jsonschema:"the running version of the server"`
	Notice   string `json:"notice,omitempty" jsonschema:"what you may be missing, and why"`
}

// noticeUnclaimed is for callers whom no record is given that names only an address.
const noticeUnclaimed = "what is here in the name of your e-mail address from before the server knew you by your subject, or as an owner of deliverables, is not shown as yours: " +
	"another identity provider may speak for that address too, or oidc.legacy_issuer names another; ask the operator of this server, who can set it"

func (p *Portal) whoami(ctx context.Context, reader Reader, _ nothing) (whoamiOut, error) {
	caller, _ := identity.FromContext(ctx)
	var notice string
	if !caller.ClaimsByEmail {
		notice = noticeUnclaimed
	}
	return whoamiOut{
		Notice:   notice,
		Email:    caller.Email,
		Subject:  caller.Key(),
		Via:      caller.Via,
		Role:     reader.Role.String(),
		Client:   p.Client,
		Identity: string(caller.Mode),
		Revision: p.Revision,
	}, nil
}
