package portal

import (
	_ "embed"
	"encoding/base64"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

//go:embed icon.svg
var icon []byte

// Icons are the portal's, in the answer itself: a client need not fetch anything.
func Icons() []mcp.Icon {
	return []mcp.Icon{{
		Source:   "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(icon),
		MIMEType: "image/svg+xml",
		Sizes:    []string{"any"},
	}}
}
