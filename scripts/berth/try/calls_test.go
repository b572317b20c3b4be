package try

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type nothing struct{}

type identified struct {
	Email  string `json:"email"`
	Client string `json:"client"`
}

type listed struct {
	Goals []string `json:"goals"`
}

// openTo is a server that lets everybody in, as one person.
func openTo(t *testing.T, email string, goals ...string) string {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "open", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, identified, error) {
		return nil, identified{email, "dev"}, nil
	})
	mcp.AddTool(server, &mcp.Tool{Name: "list_goals"}, func(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, listed, error) {
		return nil, listed{goals}, nil
	})
	listener := httptest.NewServer(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(listener.Close)
	return listener.URL
}

func TestAServerThatIsOpenToAllDoesNotPassForARefusal(t *testing.T) {
	w, bo := &world{}, &proxy{developer: bo, endpoint: openTo(t, ada, "a goal")}
	_, err := w.isRefused(t.Context(), bo)
	require.ErrorContains(t, err, "let through as "+ada)
}

func TestAServerThatTakesOnePersonForAnotherIsNotHeldForAnswering(t *testing.T) {
	w := &world{}
	_, err := w.isLetIn(t.Context(), &proxy{developer: bo, endpoint: openTo(t, ada, "a goal")})
	require.ErrorContains(t, err, ada)

	_, err = w.isLetIn(t.Context(), &proxy{developer: ada, endpoint: openTo(t, ada)})
	require.ErrorContains(t, err, "no goals")

	details, err := w.isLetIn(t.Context(), &proxy{developer: ada, endpoint: openTo(t, ada, "a goal")})
	require.NoError(t, err)
	assert.Equal(t, []string{"whoami: ada@example.com, at dev; list_goals: 1 found"}, details)
}

func TestAFailureOfAnotherKindDoesNotPassForARefusal(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(broken.Close)
	_, err := (&world{}).isRefused(t.Context(), &proxy{developer: bo, endpoint: broken.URL})
	require.ErrorContains(t, err, "not with a refusal")
}
