package endpoint_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/portal"
	"github.com/berth-mcp/berth/server/store"
)

// connectListening connects with revision over a transport, and gives the URIs that
// the client is told have changed.
func connectListening(t *testing.T, transport mcp.Transport, revision string) (*mcp.ClientSession, <-chan string) {
	t.Helper()
	told := make(chan string, 100)
	client := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, &mcp.ClientOptions{
		ResourceUpdatedHandler: func(_ context.Context, req *mcp.ResourceUpdatedNotificationRequest) {
			select {
			case told <- req.Params.URI:
			default: // the test has seen enough
			}
		},
	})
	session, err := client.Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: revision})
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session, told
}

func TestSubscriptionsAreOfferedWhereTheyCanBeKept(t *testing.T) {
	f := start(t, identity.ModeDev)
	for _, c := range []struct {
		name, path, revision string
		want                 bool
	}{
		{"/sse", "/sse", "2024-11-05", true},
		{"/mcp without sessions", "/mcp", "2025-11-25", false},
		{"/mcp with subscriptions/listen", "/mcp", "2026-07-28", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var transport mcp.Transport = &mcp.StreamableClientTransport{Endpoint: f.url + c.path, MaxRetries: -1}
			if c.path == "/sse" {
				transport = &mcp.SSEClientTransport{Endpoint: f.url + c.path}
			}
			session, _ := connectListening(t, transport, c.revision)
			assert.Equal(t, c.want, session.InitializeResult().Capabilities.Resources.Subscribe)
		})
	}
}

const agreed = `
goals:
  - {id: G1, title: Open, status: active, target: 2027-03-01}
  - {id: G2, title: Other, status: active, target: 2027-04-01}
  - {id: G3, title: Secret, status: active, target: 2027-05-01, confidential: true}
`

// overSSE subscribes on the older transport, and listening with one
// subscriptions/listen. They give the URIs that have changed.
func overSSE(t *testing.T, f fixture, email string, uris ...string) <-chan string {
	t.Helper()
	client := &http.Client{Transport: withHeader{http.Header{serverless: {bearer(email)}}}}
	session, told := connectListening(t, &mcp.SSEClientTransport{Endpoint: f.url + "/sse", HTTPClient: client}, "2024-11-05")
	for _, uri := range uris {
		require.NoError(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: uri}))
	}
	return told
}

func listening(t *testing.T, f fixture, email string, uris ...string) <-chan string {
	t.Helper()
	r := request(t, f, "2026-07-28", guard.MethodListen, map[string]any{"notifications": map[string]any{"resourceSubscriptions": uris}})
	r.Header.Set(serverless, bearer(email))
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	type message struct {
		Method string `json:"method"`
		Params struct {
			URI string `json:"uri"`
		} `json:"params"`
	}
	events := bufio.NewScanner(response.Body)
	next := func() (m message, more bool) {
		for events.Scan() {
			if data, ok := strings.CutPrefix(events.Text(), "data: "); ok && json.Unmarshal([]byte(data), &m) == nil {
				return m, true
			}
		}
		return m, false
	}
	first, _ := next()
	require.Equal(t, "notifications/subscriptions/acknowledged", first.Method)
	told := make(chan string, 100)
	go func() {
		defer close(told)
		for m, more := next(); more; m, more = next() {
			told <- m.Params.URI
		}
	}()
	return told
}

// request is one of a revision that has no sessions.
func request(t *testing.T, f fixture, revision, method string, params map[string]any) *http.Request {
	t.Helper()
	params["_meta"] = map[string]any{
		"io.modelcontextprotocol/protocolVersion":    revision,
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
		"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "editor", "version": "1"},
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/mcp", bytes.NewReader(body))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": revision, "Mcp-Method": method,
	} {
		r.Header.Set(name, value)
	}
	return r
}

func TestWhoSubscribedIsToldOfWhatChangesForThem(t *testing.T) {
	manager := portal.Reader{ID: "https://login.example.com#mara", Email: "mara@example.com", Role: guard.Manager}
	for name, subscribe := range map[string]func(*testing.T, fixture, string, ...string) <-chan string{
		"/sse": overSSE, "subscriptions/listen": listening,
	} {
		t.Run(name, func(t *testing.T) {
			documents, err := store.Open(t.TempDir(), "acme", "")
			require.NoError(t, err)
			verifier, err := identity.New(identity.Options{Mode: identity.ModeCloudRun, Getenv: func(string) string { return "acme" }})
			require.NoError(t, err)
			f := startPortal(t, portal.Options{Store: documents}, verifier, false)
			load := func(text string) {
				_, err := f.portal.Import(t.Context(), manager, "yaml", text, false, nil)
				require.NoError(t, err)
			}
			note := func(id string, private bool) {
				require.NoError(t, f.portal.AddNote(t.Context(), manager, id, "x", private))
			}
			set := func(id string, status portal.GoalStatus) {
				_, err := f.portal.SetGoalStatus(t.Context(), manager, id, status, "")
				require.NoError(t, err)
			}
			load(agreed)
			told := subscribe(t, f, "vera@example.com", "portal://goals/G1", "portal://goals/G2", "portal://goals")
			next := func() [2]string { return [2]string{<-told, <-told} }

			set("G1", "planned")
			assert.Equal(t, [2]string{"portal://goals/G1", "portal://goals"}, next())
			load("goals: [{id: G1, title: Open, status: active, target: 2027-03-01, confidential: true}]")
			assert.Equal(t, [2]string{"portal://goals/G1", "portal://goals"}, next(), "it is gone for them")
			set("G1", "active")  // what they may see no longer
			set("G3", "reached") // what they never saw
			note("G2", true)     // what the manager alone sees
			set("G2", "reached")
			assert.Equal(t, [2]string{"portal://goals/G2", "portal://goals"}, next(), "and of nothing else")
			load("goals: [{id: G1, title: Open, status: active, target: 2027-03-01}]")
			assert.Equal(t, [2]string{"portal://goals/G1", "portal://goals"}, next(), "it is back")
		})
	}
}

func TestASubscriptionIsToWhatOneSees(t *testing.T) {
	f := start(t, identity.ModeDev)
	session, _ := connectListening(t, &mcp.SSEClientTransport{Endpoint: f.url + "/sse"}, "2024-11-05")
	require.NoError(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "portal://goals/G1"}))
	require.ErrorContains(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "portal://goals/nosuch"}), "not found")
	assert.Contains(t, f.log.String(), `"message":"subscription"`)
	require.NoError(t, session.Unsubscribe(t.Context(), &mcp.UnsubscribeParams{URI: "portal://goals/G1"}))
}

func TestASubscriptionThatNobodyCouldKeepIsRefused(t *testing.T) {
	f := start(t, identity.ModeDev)
	answer := func(r *http.Request) string {
		body, err := io.ReadAll(do(t, r).Body)
		require.NoError(t, err)
		return string(body)
	}
	assert.Contains(t, answer(request(t, f, "2025-11-25", "resources/subscribe", map[string]any{"uri": "portal://goals/G1"})), "use subscriptions/listen")
	assert.Contains(t, answer(request(t, f, "2026-07-28", guard.MethodListen, map[string]any{
		"notifications": map[string]any{"resourceSubscriptions": slices.Repeat([]string{"portal://goals/G1"}, 101)},
	})), "it names 101 resources, and 100 are the most")
}

func TestASubscriptionEndsWithAnAnswerWhenTheServerStops(t *testing.T) {
	f := start(t, identity.ModeCloudRun)
	told := listening(t, f, "vera@example.com", "portal://goals")
	f.Drain(t.Context())
	answer, more := <-told
	assert.True(t, more && answer == "", "the request's answer, which is about no resource")
	_, more = <-told
	assert.False(t, more)
	assert.Regexp(t, `"message":"subscription","caller":"vera@example.com".*"outcome":"ok".*"arguments":\{"resourceSubscriptions":\["portal://goals"\]\}`, f.log.String())
}

func TestTheServerIsReadyUntilItStops(t *testing.T) {
	f := start(t, identity.ModeDev)
	status := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/ready", nil)
		require.NoError(t, err)
		return do(t, r).StatusCode
	}
	assert.Equal(t, http.StatusOK, status())
	f.Drain(t.Context())
	assert.Equal(t, http.StatusServiceUnavailable, status())
}
