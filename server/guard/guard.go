// Package guard stands between the protocol and the tools, resources and prompts: what it
// does holds for each of them, whatever it does. It says who may do what, how much of
// it, and leaves a record of every call. What was not added through it is refused, and it
// gives the server behind it to nobody.
//
// It must not know any tool, nor how a caller came to be known.
package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

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
	// Server configures the protocol's side. Its handlers get what the guard lets
	// through; those of subscriptions are the guard's own, see Version. Optional.
	Server *mcp.ServerOptions
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
	// Trace is called with every request before anything else. It returns the request's
	// context, and what to call when the request ends. Optional.
	Trace func(ctx context.Context, method string, req mcp.Request) (context.Context, func(error))
	// Middleware sees what the guard lets through, and nothing else. Optional.
	Middleware []mcp.Middleware
	// Version names the state that a resource is in, as the caller in the context sees
	// it: the same name as long as it is the same to them, and none if it is not there
	// for them. Who subscribes is told when it is another, once [Guard.ResourceUpdated]
	// says that it may be. Optional; without it there are no subscriptions.
	Version func(ctx context.Context, uri string) (string, error)
}

// Guard is an MCP server of which callers may use what was added through the guard, each
// by their role. Add everything with [AddTool], [Guard.AddResource],
// [Guard.AddResourceTemplate] and [Guard.AddPrompt] before the first caller is served.
type Guard struct {
	// server is nobody else's: what has it can add to it, and run middleware outside of
	// the guard's.
	server *mcp.Server

	options    Options
	access     Access
	limits     *limiter
	features   features
	subscribed *subscriptions

	adding  sync.Mutex // held while features are added, and when that ends
	serving bool
}

// wholeList is the length of a page of a list. A cursor to the next page would name the
// last feature of this one, whether the caller may see it or not.
const wholeList = 1 << 20

// New makes a server with a guard in front of it.
func New(implementation *mcp.Implementation, o Options) *Guard {
	g := &Guard{options: o, access: o.Access, limits: newLimiter(o.Limits), features: newFeatures()}
	var options mcp.ServerOptions
	if o.Server != nil {
		options = *o.Server
	}
	if options.SubscribeHandler != nil || options.UnsubscribeHandler != nil {
		panic("guard: Server.SubscribeHandler and Server.UnsubscribeHandler are the guard's own: set Version instead")
	}
	g.subscribed = newSubscriptions(g, o.Version)
	if o.Version != nil {
		options.SubscribeHandler, options.UnsubscribeHandler = g.subscribed.begin, g.subscribed.end
	}
	options.PageSize = wholeList
	g.server = mcp.NewServer(implementation, &options)
	// From the outside in: the record is of everything, refusals too, and a tool
	// has no way around it.
	g.server.AddReceivingMiddleware(slices.Concat([]mcp.Middleware{
		trace(o.Trace),
		audit(o),
		sendable,
		g.authorize,
		g.limits.admit,
		g.explain,
		recoverPanics(o.Logger),
	}, o.Middleware)...)
	g.server.AddSendingMiddleware(g.subscribed.trim)
	return g
}

// trace calls [Options.Trace] around each request.
func trace(begin func(context.Context, string, mcp.Request) (context.Context, func(error))) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		if begin == nil {
			return next
		}
		return func(ctx context.Context, method string, req mcp.Request) (result mcp.Result, err error) {
			ctx, end := begin(ctx, method, req)
			defer func() { end(err) }()
			return next(ctx, method, req)
		}
	}
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

// sendable leaves the data out of an error if they are not JSON: its answer could not be
// written, and a session ends with that. [mcp.ResourceNotFoundError] makes such data of a
// URI with an escape character, for one.
func sendable(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		var coded *jsonrpc.Error
		if errors.As(err, &coded) && len(coded.Data) > 0 && !json.Valid(coded.Data) {
			return result, &jsonrpc.Error{Code: coded.Code, Message: err.Error()}
		}
		return result, err
	}
}

func toolName(req mcp.Request) string {
	params, ok := req.GetParams().(*mcp.CallToolParamsRaw)
	if !ok || params == nil {
		return ""
	}
	return params.Name
}
