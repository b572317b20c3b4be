package doctor_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// Everything that a report quotes holds an attack: the server's name, the account, the
// program on the proxy's port, and an editor's file.
func TestAReportHoldsNothingThatATerminalWouldObey(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			b, err := json.Marshal(attack.Text + "\n" + plaintexttest.Forged)
			require.NoError(t, err)
			name := string(b)
			server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":%s,"serverInfo":{"name":%[1]s,"version":%[1]s}}}`, name)
			}))
			squatter := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"program":"berth-proxy","version":%s,"clients":[%[1]s]}`, name)
			}))
			e := newEndpoint(t)
			e.Set(func(e *tokentest.Endpoint) { e.Email = attack.Text })
			d := newDoctor(t, e.source, "acme="+server)
			_, port, err := net.SplitHostPort(strings.TrimPrefix(squatter, "http://"))
			require.NoError(t, err)
			d.Port, err = strconv.Atoi(port)
			require.NoError(t, err)
			editor := filepath.Join(d.Place.System.Home, ".cursor", "mcp.json")
			require.NoError(t, os.MkdirAll(filepath.Dir(editor), 0o700))
			require.NoError(t, os.WriteFile(editor, fmt.Appendf(nil, `{"mcpServers": {%s: {"url": "http://localhost:1/acme/mcp"}}}`, name), 0o600))

			visited := d.Visit(t.Context(), d.Targets[0])
			plaintexttest.AssertPlain(t, visited.Account)
			all := ""
			for _, r := range append(d.Run(t.Context()), visited.Results...) {
				plaintexttest.AssertPlain(t, r.Client+r.Message)
				assert.NotContains(t, r.Message, "\n", "it stays one line")
				if r.Check == doctor.MCP || r.Check == doctor.Login || r.Check == doctor.Editor {
					assert.Contains(t, r.Message, attack.Shown, r.Check)
				}
				all += r.Message
			}
			assert.Contains(t, all, attack.Shown)
		})
	}
}
