// Command berth-proxy stands between a developer's MCP client and the private servers
// the developer may call, and signs every request with the developer's own Google identity.
package main

import (
	"log"
	"os"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/cmd"
)

func main() {
	log.SetOutput(plaintext.NewWriter(os.Stderr)) // what libraries log by themselves
	os.Exit(cmd.Main(os.Args[1:], os.Stdout, os.Stderr))
}
