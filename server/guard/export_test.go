package guard

import "github.com/modelcontextprotocol/go-sdk/mcp"

// ServerOf returns the server behind a guard, for tests of what happens to something that
// has been added to it past the guard.
func ServerOf(g *Guard) *mcp.Server { return g.server }

// SetAccess replaces the access rules of a guard that already serves callers.
func SetAccess(g *Guard, access Access) { g.access = access }

// Subscribers returns how many sessions have subscriptions.
func Subscribers(g *Guard) int {
	g.subscribed.mu.Lock()
	defer g.subscribed.mu.Unlock()
	return len(g.subscribed.of)
}
