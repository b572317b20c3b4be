// Command berth-proxy stands between a developer's MCP client and the private servers
// the developer may call, and signs every request with the developer's own Google identity.
package main

import (
	"os"

	"github.com/berth-mcp/berth/proxy/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], os.Stdout, os.Stderr))
}
