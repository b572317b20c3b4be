package bridge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// The account's name is the token endpoint's, and part of what the editor is told.
func TestAnErrorToAnEditorHoldsNothingThatATerminalWouldObey(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			r := newRig(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(http.StatusForbidden)
			})))
			r.endpoint.Set(func(e *tokentest.Endpoint) { e.Email = attack.Text + "\n" + plaintexttest.Forged })
			e := r.raw(t)
			e.write(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
			line := e.read()
			plaintexttest.AssertPlain(t, line)
			var reply struct{ Error struct{ Message string } }
			require.NoError(t, json.Unmarshal([]byte(line), &reply))
			plaintexttest.AssertPlain(t, reply.Error.Message)
			assert.Contains(t, reply.Error.Message, attack.Shown)
			assert.NotContains(t, reply.Error.Message, "\n")
			require.NoError(t, e.in.Close())
		})
	}
}

func TestAServersOwnMessagePassesAsItIs(t *testing.T) {
	name, err := json.Marshal(plaintexttest.All())
	require.NoError(t, err)
	answer := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":%s}}`, name)
	r := newRig(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	})))
	e := r.raw(t)
	e.write(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
	assert.Equal(t, answer, e.read())
	require.NoError(t, e.in.Close())
}
