package guard

import (
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	methodCallTool = "tools/call"
	// MethodListen is a request that lasts as long as its subscription.
	MethodListen = "subscriptions/listen"
)

// load is what a request costs, and so which of a caller's limits it counts against.
type load int

const (
	call    load = iota // runs a handler of the client's data
	light               // what editors ask by themselves, many at a time when they start
	stream              // lasts until the caller goes
	message             // a request of HTTP, whatever is in it
	loads
)

const (
	// lightFactor is how many times as many light requests a caller has as calls: room
	// for several editors that start at once, each with some ten.
	lightFactor = 10
	// anyFactor is the same for requests of HTTP: more than all calls and light requests
	// together, so that only who sends something else, or notifications, meets it.
	anyFactor = 20
)

// allowance is how much of one load is a caller's.
type allowance struct {
	what             string
	most             int // at the same time; 0 is any number
	perMinute, burst int
}

func (l Limits) allowances() [loads]allowance {
	return [loads]allowance{
		call:    {"calls", l.Concurrent, l.CallsPerMinute, l.Burst},
		light:   {"requests", lightFactor * l.Concurrent, lightFactor * l.CallsPerMinute, lightFactor * l.Burst},
		stream:  {"streams", l.Streams, l.CallsPerMinute, l.Burst},
		message: {"messages", 0, anyFactor * l.CallsPerMinute, anyFactor * l.Burst},
	}
}

// method is what the guard knows of one of the protocol's methods.
type method struct {
	load load
	// open is for methods that say nothing of the client's data: with them a
	// connection comes about and is kept, whatever the caller's role.
	open bool
	// kind is what the method's records are called; those of a method without one
	// are kept only if it was refused. about fills in what was asked for.
	kind  string
	about func(*Record, mcp.Params)
	// wants finds the features that a request is for, each of which the caller must be
	// allowed. If the guard does not know one, it gives the handler that says so in the
	// server's place. Nil for methods that are for no feature.
	wants func(features, mcp.Params) (wanted []*feature, unknown mcp.MethodHandler)
}

// methods are all that the guard knows. Any other is refused, whoever asks.
var methods = map[string]method{
	"initialize":                       {load: light, open: true},
	"notifications/initialized":        {load: light, open: true},
	"notifications/cancelled":          {load: light, open: true},
	"notifications/progress":           {load: light, open: true},
	"notifications/roots/list_changed": {load: light, open: true},
	"ping":                             {load: light, open: true},
	"server/discover":                  {load: light, open: true},

	"tools/list":               {load: light},
	"prompts/list":             {load: light},
	"resources/list":           {load: light},
	"resources/templates/list": {load: light},
	"resources/unsubscribe":    {load: light, wants: wantsUnsubscribed},
	"completion/complete":      {load: light, wants: wantsCompletion},
	"logging/setLevel":         {load: light},

	methodCallTool:        {kind: "tool call", about: aboutTool, wants: wantsTool},
	"resources/read":      {kind: "resource read", about: aboutResource, wants: wantsResource},
	"prompts/get":         {kind: "prompt get", about: aboutPrompt, wants: wantsPrompt},
	"resources/subscribe": {load: light, kind: "subscription", about: aboutSubscription, wants: wantsSubscribed},
	MethodListen:          {load: stream, kind: "subscription", about: aboutListening, wants: wantsListening},
}

func aboutTool(r *Record, params mcp.Params) {
	if p, ok := params.(*mcp.CallToolParamsRaw); ok && p != nil {
		r.field, r.Name, r.Arguments = "tool", cleaned(p.Name), Redact(p.Arguments)
	}
}

func aboutResource(r *Record, params mcp.Params) {
	if p, ok := params.(*mcp.ReadResourceParams); ok && p != nil {
		r.field, r.Name = "resource", cleaned(p.URI)
	}
}

func aboutPrompt(r *Record, params mcp.Params) {
	p, ok := params.(*mcp.GetPromptParams)
	if !ok || p == nil {
		return
	}
	r.field, r.Name = "prompt", cleaned(p.Name)
	if raw, err := json.Marshal(p.Arguments); err == nil {
		r.Arguments = Redact(raw)
	}
}

func aboutSubscription(r *Record, params mcp.Params) {
	if p, ok := params.(*mcp.SubscribeParams); ok && p != nil {
		r.field, r.Name = "resource", cleaned(p.URI)
	}
}

func aboutListening(r *Record, params mcp.Params) {
	p, ok := params.(*mcp.SubscriptionsListenParams)
	if !ok || p == nil || p.Notifications == nil {
		return
	}
	if raw, err := json.Marshal(p.Notifications); err == nil {
		r.Arguments = Redact(raw)
	}
}
