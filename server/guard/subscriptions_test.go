package guard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// changing counts up the version of every resource whenever it is asked for.
func changing(access guard.Access) guard.Options {
	var version atomic.Int64
	o := subscribable(access)
	o.Version = func(context.Context, string) (string, error) { return strconv.FormatInt(version.Add(1), 10), nil }
	return o
}

func TestGuard_TellsOnlyThoseWhoMayStillRead(t *testing.T) {
	const open, closed = "test://open", "test://closed"
	off := accessByGroup()
	off.Resources.Deny = []string{closed}
	without := accessByGroup()
	without.Roles[guard.Manager] = nil
	without.Roles[guard.Viewer] = []string{"group:manager"}
	nobody := accessByGroup()
	nobody.Roles = map[guard.Role][]string{guard.None: {"group:manager"}}
	for name, c := range map[string]struct {
		access guard.Access
		want   []string
	}{
		"as before":                  {accessByGroup(), []string{closed, open}},
		"a lower role":               {without, []string{open}},
		"no role":                    {nobody, nil},
		"a resource switched off":    {off, []string{open}},
		"a resource not on the list": {guard.Access{Default: new(guard.Admin), Resources: guard.Names{Allow: []string{open}}}, []string{open}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuarded(changing(accessByGroup()))
			g.guard.AddResource(guard.Viewer, &mcp.Resource{URI: open, Name: "open"}, resourceHandler(nothing))
			g.guard.AddResource(guard.Manager, &mcp.Resource{URI: closed, Name: "closed"}, resourceHandler(nothing))
			told := make(chan string, 10)
			session := g.withSessions(t, person("mara@example.com", "manager"), func(uri string) { told <- uri })
			for _, uri := range []string{open, closed} {
				require.NoError(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}))
			}

			guard.SetAccess(g.guard, c.access)
			g.guard.ResourceUpdated(t.Context(), closed)
			g.guard.ResourceUpdated(t.Context(), open)
			// A client handles what a connection brings in order: the last of these comes
			// after all that there is to tell.
			guard.SetAccess(g.guard, accessByGroup())
			g.guard.ResourceUpdated(t.Context(), closed)
			var got []string
			for range len(c.want) + 1 {
				got = append(got, <-told)
			}
			assert.Equal(t, append(slices.Clone(c.want), closed), got)
		})
	}
}

func TestGuard_ForgetsTheSubscriptionsOfASessionThatEnds(t *testing.T) {
	g := newGuarded(changing(accessByGroup()))
	g.guard.AddResource(guard.Viewer, &mcp.Resource{URI: "test://open", Name: "open"}, resourceHandler(nothing))
	session := g.withSessions(t, person("vera@example.com", "viewer"), noNews)
	require.NoError(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "test://open"}))
	require.Equal(t, 1, guard.Subscribers(g.guard))
	assert.True(t, g.guard.HasSessions())
	require.NoError(t, session.Close())
	require.Eventually(t, func() bool { return guard.Subscribers(g.guard) == 0 && !g.guard.HasSessions() }, time.Minute, time.Millisecond)
}

// listen asks for a subscription as 2026-07-28 does, and gives the first message of the answer.
func listen(t *testing.T, g guarded, caller identity.Caller, uris ...string) string {
	t.Helper()
	handler, err := g.guard.StreamableHTTPHandler(&mcp.StreamableHTTPOptions{})
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(identity.NewContext(r.Context(), caller)))
	}))
	defer server.Close()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": guard.MethodListen, "params": map[string]any{
		"notifications": map[string]any{"resourceSubscriptions": uris},
		"_meta": map[string]any{
			"io.modelcontextprotocol/protocolVersion":    "2026-07-28",
			"io.modelcontextprotocol/clientCapabilities": map[string]any{},
			"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "editor", "version": "1"},
		},
	}})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(body))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": guard.MethodListen,
	} {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	// The first message is all that is wanted: a subscription that begins has no end.
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), "jsonrpc") {
			return lines.Text()
		}
	}
	return ""
}

func TestGuard_ListensToNothingThatTheCallerMayNotRead(t *testing.T) {
	access := accessByGroup()
	access.Resources.Deny = []string{"test://off"}
	for name, c := range map[string]struct {
		uris []string
		want string
	}{
		"another role's": {[]string{"test://open", "test://closed"}, "test://closed is for the role manager"},
		"switched off":   {[]string{"test://open", "test://off"}, "switched off the resource test://off"},
		"not there":      {[]string{"test://open", "test://stray"}, "not found"},
		"too many":       {slices.Repeat([]string{"test://open"}, 101), "it names 101 resources, and 100 are the most"},
	} {
		t.Run(name, func(t *testing.T) {
			o := subscribable(access)
			o.Version = func(_ context.Context, uri string) (string, error) {
				t.Errorf("%s was looked up", uri)
				return "1", nil
			}
			g := newGuarded(o)
			for uri, needs := range map[string]guard.Role{"test://open": guard.Viewer, "test://off": guard.Viewer, "test://closed": guard.Manager} {
				g.guard.AddResource(needs, &mcp.Resource{URI: uri, Name: "x"}, resourceHandler(nothing))
			}
			guard.ServerOf(g.guard).AddResource(&mcp.Resource{URI: "test://stray", Name: "stray"}, resourceHandler(nothing))
			assert.Contains(t, listen(t, g, person("vera@example.com", "viewer"), c.uris...), c.want)
		})
	}
}
