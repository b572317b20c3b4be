package guard_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// A tool says which role it is for, and the guard sees to the rest.
func ExampleAddTool() {
	g := guard.New(&mcp.Implementation{Name: "example", Version: "1"}, guard.Options{
		Client: "acme",
		Access: guard.Access{Roles: map[guard.Role][]string{guard.Manager: {"user:mara@example.com"}}},
		Logger: slog.New(slog.DiscardHandler),
	})
	guard.AddTool(g, guard.Manager, &mcp.Tool{Name: "decide"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "decided"}}}, nil, nil
	})

	for _, email := range []string{"mara@example.com", "vera@example.com"} {
		// On HTTP, package endpoint puts the caller into the context.
		ctx := identity.NewContext(context.Background(), identity.Caller{Issuer: "https://login.example.com", Subject: "sub-of-" + email, Email: email})
		inside, outside := mcp.NewInMemoryTransports()
		if _, err := g.Connect(ctx, inside); err != nil {
			panic(err)
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(ctx, outside, nil)
		if err != nil {
			panic(err)
		}
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "decide"})
		if err != nil {
			panic(err)
		}
		fmt.Println(result.Content[0].(*mcp.TextContent).Text)
		_ = session.Close()
	}
	// Output:
	// decided
	// the tool decide is for the role manager, and yours is viewer: ask the operator of this server for it
}

// What a record keeps of a call's arguments.
func ExampleRedact() {
	fmt.Println(guard.Redact([]byte(`{"id":"D1","api_key":"abc"}`)))
	// Output: map[api_key:[redacted] id:D1]
}
