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

// register adds a tool, a resource and a prompt, each with the role that it needs.
func register(g *guard.Guard) {
	guard.AddTool(g, guard.Viewer, &mcp.Tool{
		Name:        "greet",
		Description: "Greets somebody.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, func(ctx context.Context, _ *mcp.CallToolRequest, in greetIn) (*mcp.CallToolResult, greetOut, error) {
		caller, _ := identity.FromContext(ctx)
		return nil, greetOut{Greeting: caller.Email + " greets " + in.Name}, nil
	})
	g.AddResourceTemplate(guard.Manager, &mcp.ResourceTemplate{
		URITemplate: "greetings://guests/{name}", Name: "guest", Description: "How often somebody was greeted.",
	}, func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, Text: "once"}}}, nil
	})
	g.AddPrompt(guard.Viewer, &mcp.Prompt{Name: "welcome", Description: "Welcomes a guest."},
		func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{
				Role: "user", Content: &mcp.TextContent{Text: "Welcome the guest, and greet them."},
			}}}, nil
		})
}

// A server with a tool, a resource and a prompt of one's own, behind everything that holds
// for all of them.
func Example() {
	verifier, err := identity.New(identity.Options{Mode: identity.ModeDev, Getenv: func(string) string { return "" }})
	if err != nil {
		panic(err)
	}
	handler, err := endpoint.New(endpoint.Options{
		Implementation: &mcp.Implementation{Name: "greeter", Version: "1"},
		Register:       register,
		Verifier:       verifier,
		Client:         "acme",
		Logger:         slog.New(slog.DiscardHandler),
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
	prompt, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "welcome"})
	if err != nil {
		panic(err)
	}
	fmt.Println(prompt.Messages[0].Content.(*mcp.TextContent).Text)
	_, err = session.ReadResource(ctx, &mcp.ReadResourceParams{URI: "greetings://guests/ada"})
	fmt.Println(err)
	// Output:
	// map[greeting:dev@localhost greets the client]
	// Welcome the guest, and greet them.
	// calling "resources/read": the resource greetings://guests/{name} is for the role manager, and yours is viewer: ask the operator of this server for it
}
