package guard

import "github.com/modelcontextprotocol/go-sdk/mcp"

// ServerOf returns the server behind a guard, for tests of what happens to something that
// has been added to it past the guard.
func ServerOf(g *Guard) *mcp.Server { return g.server }
