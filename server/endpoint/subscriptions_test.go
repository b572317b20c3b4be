package endpoint_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// connectListening connects with revision over a transport, and gives the URIs that
// the client is told have changed.
func connectListening(t *testing.T, transport mcp.Transport, revision string) (*mcp.ClientSession, <-chan string) {
	t.Helper()
	told := make(chan string, 10)
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

func TestWhoSubscribedIsToldOfChanges(t *testing.T) {
	var server *mcp.Server
	f := start(t, identity.ModeDev, func(g *guard.Guard) { server = g.Server })
	change := func() {
		require.NoError(t, server.ResourceUpdated(t.Context(), &mcp.ResourceUpdatedNotificationParams{URI: "portal://goals/G1"}))
	}
	t.Run("/sse", func(t *testing.T) {
		session, told := connectListening(t, &mcp.SSEClientTransport{Endpoint: f.url + "/sse"}, "2024-11-05")
		require.NoError(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "portal://goals/G1"}))
		change()
		assert.Equal(t, "portal://goals/G1", <-told)
		require.Error(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "portal://goals/nosuch"}), "what one does not see")
	})
	t.Run("subscriptions/listen, until the server stops", func(t *testing.T) {
		session, told := connectListening(t, &mcp.StreamableClientTransport{Endpoint: f.url + "/mcp", MaxRetries: -1}, "2026-07-28")
		require.NoError(t, session.Subscribe(t.Context(), &mcp.SubscribeParams{URI: "portal://goals/G1"}))
		for told := told; ; { // the subscription has no answer to wait for
			change()
			select {
			case uri := <-told:
				assert.Equal(t, "portal://goals/G1", uri)
				return
			default:
			}
		}
	})
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
