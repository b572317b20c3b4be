package telemetry_test

import (
	"context"
	"fmt"

	"github.com/berth-mcp/berth/server/telemetry"
)

// Where the environment names no receiver there is no telemetry, and nothing to take
// care of: all methods of none do nothing.
func ExampleStart() {
	ctx := context.Background()
	getenv := func(string) string { return "" } // os.Getenv, in a server
	sent, err := telemetry.Start(ctx, telemetry.Options{Getenv: getenv, Client: "acme", Version: "1"})
	if err != nil {
		panic(err)
	}
	// … pass it to endpoint.New as Telemetry, serve, and at the end:
	fmt.Println(sent == nil, sent.Shutdown(ctx))
	// Output: true <nil>
}
