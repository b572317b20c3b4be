package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Connect serves one client over a transport, whose caller is in the context; see
// [mcp.Server.Connect]. The error is that of [Guard.Check], if there is one. Nothing
// can be added to the guard after it.
func (g *Guard) Connect(ctx context.Context, transport mcp.Transport) (*mcp.ServerSession, error) {
	if err := g.serve(); err != nil {
		return nil, err
	}
	return g.server.Connect(ctx, transport, nil)
}

// StreamableHTTPHandler returns a handler that serves the streamable transport, whose
// callers are in the requests' contexts; see [mcp.NewStreamableHTTPHandler]. It keeps no
// sessions, whatever the options say: one would act for whoever opened it, and its id
// would be all that another needs to use it. The error is that of [Guard.Check], if there
// is one. Nothing can be added to the guard after it.
func (g *Guard) StreamableHTTPHandler(o *mcp.StreamableHTTPOptions) (http.Handler, error) {
	if err := g.serve(); err != nil {
		return nil, err
	}
	var options mcp.StreamableHTTPOptions
	if o != nil {
		options = *o
	}
	options.Stateless = true
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return g.server }, &options)
	return http.HandlerFunc(handler.ServeHTTP), nil
}

// ResourceUpdated tells those who have subscribed to a resource that it may have
// changed.
func (g *Guard) ResourceUpdated(ctx context.Context, uri string) {
	_ = g.server.ResourceUpdated(ctx, &mcp.ResourceUpdatedNotificationParams{URI: uri}) // it never fails
}

// HasSessions reports whether anyone is connected.
func (g *Guard) HasSessions() bool {
	for range g.server.Sessions() {
		return true
	}
	return false
}

// serve ends the time of adding, and checks the configuration against what was added.
func (g *Guard) serve() error {
	g.adding.Lock()
	defer g.adding.Unlock()
	if g.serving {
		return nil
	}
	if err := g.Check(); err != nil {
		return err
	}
	g.serving = true
	return nil
}

// Check returns every problem of the configuration, such as a tool, resource or prompt
// that it names and that has not been added: a misspelled name in a list of what is
// denied would deny nothing.
func (g *Guard) Check() error {
	problems := []error{g.access.Check(), g.limits.Check()}
	check := func(field string, of kind, names []string) {
		known := g.features.names(of)
		for _, name := range names {
			if slices.Contains(known, name) {
				continue
			}
			problem := fmt.Sprintf("%s: there is no %s %q", field, of, name)
			if len(known) > 0 {
				problem += fmt.Sprintf("; the %ss are %s", of, strings.Join(known, ", "))
			} else {
				problem += fmt.Sprintf(", nor any other: leave %s out", field)
			}
			problems = append(problems, errors.New(problem))
		}
	}
	for _, of := range []kind{toolKind, resourceKind, promptKind} {
		list := g.access.names(of)
		check(fmt.Sprintf("access.%ss.allow", of), of, list.Allow)
		check(fmt.Sprintf("access.%ss.deny", of), of, list.Deny)
	}
	check("limits.tool_timeouts", toolKind, slices.Sorted(maps.Keys(g.limits.ToolTimeouts)))
	return errors.Join(problems...)
}
