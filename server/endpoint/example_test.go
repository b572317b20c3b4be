package endpoint_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/endpoint"
	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

type greetIn struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

type greetOut struct {
	Greeting string `json:"greeting"`
}

// A server with a tool of one's own, behind everything that holds for every tool.
func Example() {
	verifier, err := identity.New(identity.Options{Mode: identity.ModeDev, Getenv: func(string) string { return "" }})
	if err != nil {
		panic(err)
	}
	handler, err := endpoint.New(endpoint.Options{
		Implementation: &mcp.Implementation{Name: "greeter", Version: "1"},
		Register: func(g *guard.Guard) {
			guard.AddTool(g, guard.Viewer, &mcp.Tool{
				Name:        "greet",
				Description: "Greets somebody.",
				Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
			}, func(ctx context.Context, _ *mcp.CallToolRequest, in greetIn) (*mcp.CallToolResult, greetOut, error) {
				caller, _ := identity.FromContext(ctx)
				return nil, greetOut{Greeting: caller.Email + " greets " + in.Name}, nil
			})
		},
		Verifier: verifier,
		Client:   "acme",
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	ctx := context.Background()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp"}, nil)
	if err != nil {
		panic(err)
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "greet", Arguments: greetIn{Name: "the client"}})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.StructuredContent)
	// Output: map[greeting:dev@localhost greets the client]
}
