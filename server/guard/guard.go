// Package guard stands between the protocol and the tools: what it does holds
// for every tool, whatever the tool does. It says who may do what, how much of
// it, and leaves a record of every call.
//
// It must not know any tool, nor how a caller came to be known.
package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/identity"
)

// Error codes of refusals, in the range that JSON-RPC leaves to servers, where
// neither MCP nor the SDKs have any. A tool
// call is refused with a result instead, which the model gets to read.
const (
	CodeForbidden = -32050
	CodeBusy      = -32051 // data.retryAfterSeconds says when to try again
)

// Options configure a [Guard].
type Options struct {
	// Client is the company whose server this is. Required.
	Client string
	// Access says who may do what. The zero value makes everyone a viewer.
	Access Access
	// Limits bound what a caller may ask for. The zero value has all defaults.
	Limits Limits
	// Logger takes the records. Required.
	Logger *slog.Logger
	// Observe is called with every record as well. Optional.
	Observe func(context.Context, Record)
}

// Guard guards one MCP server. Tools are added to it with [AddTool].
type Guard struct {
	// Server is what is guarded; resources and prompts are added to it directly.
	Server *mcp.Server

	options Options
	access  Access
	limits  *limiter
	tools   map[string]declaration
}

// declaration is what a tool says of itself.
type declaration struct {
	needs    Role
	readOnly bool
	input    *jsonschema.Schema
}

// New puts a guard in front of a server.
func New(server *mcp.Server, o Options) *Guard {
	g := &Guard{Server: server, options: o, access: o.Access, limits: newLimiter(o.Limits), tools: make(map[string]declaration)}
	// From the outside in: the record is of everything, refusals too, and a tool
	// has no way around it.
	server.AddReceivingMiddleware(
		audit(o),
		g.authorize,
		g.limits.admit,
		g.explain,
		recoverPanics(o.Logger),
	)
	return g
}

// AddTool adds a tool that callers with the role needs, or a higher one, may
// use. What the annotations say about reading only is what the read-only switch
// goes by. See [mcp.AddTool] for the rest.
func AddTool[In, Out any](g *Guard, needs Role, tool *mcp.Tool, handler mcp.ToolHandlerFor[In, Out]) {
	input, given := tool.InputSchema.(*jsonschema.Schema)
	if !given && tool.InputSchema == nil {
		input, _ = jsonschema.For[In](nil) // if there is none, mcp.AddTool says why
	}
	g.tools[tool.Name] = declaration{
		needs: needs, readOnly: tool.Annotations != nil && tool.Annotations.ReadOnlyHint, input: input,
	}
	mcp.AddTool(g.Server, tool, handler)
}

// OpenStream counts an event stream that the caller in the context opens outside of
// any request of the protocol, among those of [Limits.Streams]. leave is to be called
// when it ends. If there may be no more, why says so, and wait when to try again, in
// seconds; that leaves a record.
func (g *Guard) OpenStream(ctx context.Context) (leave func(), wait int, why string) {
	return g.enter(ctx, stream, "stream")
}

// Admit counts a request of HTTP: what the protocol's library refuses by itself never
// gets to the guard otherwise. If there are too many, why says so, and wait when to try
// again, in seconds; that leaves a record.
func (g *Guard) Admit(ctx context.Context) (wait int, why string) {
	leave, wait, why := g.enter(ctx, message, "request")
	if why == "" {
		leave()
	}
	return wait, why
}

func (g *Guard) enter(ctx context.Context, of load, kind string) (leave func(), wait int, why string) {
	caller, _ := identity.FromContext(ctx)
	leave, wait, why = g.limits.enter(caller.Key(), of)
	if why != "" {
		record := newRecord(ctx, kind)
		record.Role, record.Outcome, record.Reason = g.access.role(caller), OutcomeRefused, why
		record.log(ctx, g.options)
		if g.options.Observe != nil {
			g.options.Observe(ctx, *record)
		}
	}
	return leave, wait, why
}

// Check gives an error for each tool that the configuration names and that has
// not been added: a misspelt name in a list of denied tools would deny nothing.
func (g *Guard) Check() error {
	var problems []error
	check := func(field, name string) {
		if _, ok := g.tools[name]; !ok {
			problems = append(problems, fmt.Errorf("%s: there is no tool %q; the tools are %s",
				field, name, strings.Join(slices.Sorted(maps.Keys(g.tools)), ", ")))
		}
	}
	for _, name := range g.access.Tools.Allow {
		check("access.tools.allow", name)
	}
	for _, name := range g.access.Tools.Deny {
		check("access.tools.deny", name)
	}
	for _, name := range slices.Sorted(maps.Keys(g.limits.ToolTimeouts)) {
		check("limits.tool_timeouts", name)
	}
	return errors.Join(problems...)
}

// refuse answers a request that was not carried out, and says so in its record.
// retry is in how many whole seconds it may go better; 0 is never.
func refuse(ctx context.Context, method string, code int64, retry int, reason string) (mcp.Result, error) {
	if record := recordFrom(ctx); record != nil {
		record.Outcome, record.Reason = OutcomeRefused, reason
	}
	if method == methodCallTool {
		result := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: reason}}, IsError: true}
		if retry > 0 {
			result.Meta = mcp.Meta{"berth/retryAfterSeconds": retry}
		}
		return result, nil
	}
	err := &jsonrpc.Error{Code: code, Message: reason}
	if retry > 0 {
		err.Data = fmt.Appendf(nil, `{"retryAfterSeconds":%d}`, retry)
	}
	return nil, err
}

func toolName(req mcp.Request) string {
	params, ok := req.GetParams().(*mcp.CallToolParamsRaw)
	if !ok || params == nil {
		return ""
	}
	return params.Name
}
