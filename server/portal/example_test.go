package portal_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/portal"
)

// A view is what one reader may see; without a store it is of the sample.
func ExamplePortal_View() {
	p, err := portal.New(portal.Options{Client: "acme", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	view, err := p.View(context.Background(), portal.Reader{Email: "ada@example.com", Role: guard.Viewer})
	if err != nil {
		panic(err)
	}
	for _, goal := range view.Goals {
		fmt.Println(goal.Target, goal.ID, goal.Title)
	}
	// Output:
	// 2027-01-29 G1 Order spare parts without a phone call
	// 2027-05-28 G2 Halve the time to a quote
	// 2027-09-30 G3 Retire the old dealer portal
}
