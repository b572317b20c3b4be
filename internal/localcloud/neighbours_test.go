package localcloud_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

const (
	ada = enginetest.Ada
	eve = "eve@example.com"
)

func TestTwoClientsSideBySideAreClosedToEachOther(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	people := cloud.Directory()
	require.NoError(t, people.AddGroup("umbrella-developers@example.com"))
	require.NoError(t, people.AddPerson(eve))
	require.NoError(t, people.AddMember("umbrella-developers@example.com", eve))

	acme := enginetest.Stack(t, cloud, dir, "acme", nil)
	umbrella := enginetest.Stack(t, cloud, dir, "umbrella", map[string]any{
		"berth:developers": []string{"group:umbrella-developers@example.com"},
	})
	acmeOutputs, _ := enginetest.Up(t, acme)
	umbrellaOutputs, _ := enginetest.Up(t, umbrella)
	atAcme, atUmbrella := acmeOutputs["url"].Value.(string), umbrellaOutputs["url"].Value.(string)

	assert.Equal(t, caller{ada, "acme"}, whoami(t, atAcme, bearer(enginetest.IDToken(t, cloud, ada))))
	assert.Equal(t, caller{eve, "umbrella"}, whoami(t, atUmbrella, bearer(enginetest.IDToken(t, cloud, eve))))
	assert.Equal(t, http.StatusForbidden, status(t, atUmbrella, bearer(enginetest.IDToken(t, cloud, ada))))
	assert.Equal(t, http.StatusForbidden, status(t, atAcme, bearer(enginetest.IDToken(t, cloud, eve))))
	assert.Equal(t, http.StatusUnauthorized, status(t, atAcme, http.Header{}))

	_, err := umbrella.Destroy(t.Context())
	require.NoError(t, err)
	for _, name := range cloud.Inventory() {
		assert.NotContains(t, name, "umbrella")
	}
	assert.Equal(t, caller{ada, "acme"}, whoami(t, atAcme, bearer(enginetest.IDToken(t, cloud, ada))), "the other client never noticed")
}

func TestForgedHeadersNeverChangeWhoIsCalling(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	require.NoError(t, cloud.Directory().AddPerson(eve))
	outputs, _ := enginetest.Up(t, enginetest.Stack(t, cloud, t.TempDir(), "acme", nil))
	at := outputs["url"].Value.(string)

	adas, eves := "Bearer "+enginetest.IDToken(t, cloud, ada), "Bearer "+enginetest.IDToken(t, cloud, eve)
	asEve := "Bearer " + forge(t, adas, eve, ".SIGNATURE_REMOVED_BY_GOOGLE")
	resigned := "Bearer " + forge(t, adas, eve, ".c2lnbmF0dXJl")

	t.Run("a valid platform token wins over whatever Authorization says", func(t *testing.T) {
		for name, forged := range map[string]string{"forged": asEve, "another person's": eves, "no token": "Bearer x", "not Bearer": "Basic ZXZlOg=="} {
			got := whoami(t, at, http.Header{"X-Serverless-Authorization": {adas}, "Authorization": {forged}})
			assert.Equal(t, caller{ada, "acme"}, got, name)
		}
	})
	t.Run("without one, only a signed Authorization counts", func(t *testing.T) {
		assert.Equal(t, caller{ada, "acme"}, whoami(t, at, http.Header{"Authorization": {adas}}))
	})
	t.Run("what is forged or doubled is refused", func(t *testing.T) {
		for name, headers := range map[string]http.Header{
			"a forged platform token":                   {"X-Serverless-Authorization": {asEve}},
			"a re-signed platform token":                {"X-Serverless-Authorization": {resigned}},
			"a forged platform token, a valid other":    {"X-Serverless-Authorization": {asEve}, "Authorization": {adas}},
			"two platform tokens, the forged one first": {"X-Serverless-Authorization": {asEve, adas}},
			"two platform tokens, the forged one last":  {"X-Serverless-Authorization": {adas, asEve}},
			"two in one line":                           {"X-Serverless-Authorization": {adas + ", " + asEve}},
			"a forged Authorization":                    {"Authorization": {asEve}},
			"two Authorizations, the forged one last":   {"Authorization": {adas, asEve}},
			"two Authorizations, the forged one first":  {"Authorization": {asEve, adas}},
		} {
			assert.Equal(t, http.StatusUnauthorized, status(t, at, headers), name)
		}
	})
	t.Run("two Authorizations beside a valid platform token do not confuse the server", func(t *testing.T) {
		got := whoami(t, at, http.Header{"X-Serverless-Authorization": {adas}, "Authorization": {asEve, eves}})
		assert.Equal(t, caller{ada, "acme"}, got)
	})
}

func TestAKilledInstanceIsReplacedAtTheNextCall(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	outputs, _ := enginetest.Up(t, enginetest.Stack(t, cloud, t.TempDir(), "acme", nil))
	at := outputs["url"].Value.(string)
	headers := bearer(enginetest.IDToken(t, cloud, ada))
	require.Equal(t, caller{ada, "acme"}, whoami(t, at, headers))

	service := outputs["service"].Value.(string)
	before := cloud.Instances(service)
	require.Len(t, before, 1)
	process, err := os.FindProcess(before[0].PID)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	require.Eventually(t, func() bool { return len(cloud.Instances(service)) == 0 }, time.Minute, 10*time.Millisecond)

	assert.Equal(t, caller{ada, "acme"}, whoami(t, at, headers))
	after := cloud.Instances(service)
	require.Len(t, after, 1)
	assert.NotEqual(t, before[0].PID, after[0].PID)
}

func bearer(token string) http.Header {
	return http.Header{"X-Serverless-Authorization": {"Bearer " + token}}
}

// forge makes another person of a token and puts a signature of its own choice.
func forge(t *testing.T, authorization, email, signature string) string {
	t.Helper()
	parts := strings.Split(strings.TrimPrefix(authorization, "Bearer "), ".")
	require.Len(t, parts, 3)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(payload, &claims))
	claims["email"] = email
	payload, err = json.Marshal(claims)
	require.NoError(t, err)
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + signature
}

// status is what a plain MCP request with the headers is answered.
func status(t *testing.T, at string, headers http.Header) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`))
	require.NoError(t, err)
	request.Header = headers.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

type caller struct{ Email, Client string }

// whoami calls the tool as an MCP client whose requests carry the headers.
func whoami(t *testing.T, at string, headers http.Header) caller {
	t.Helper()
	result := callTool(t, at, headers, "whoami", nil)
	require.False(t, result.IsError, fmt.Sprint(result.Content))
	encoded, err := json.Marshal(result.StructuredContent)
	require.NoError(t, err)
	var who caller
	require.NoError(t, json.Unmarshal(encoded, &who))
	return who
}

// callTool calls a tool as an MCP client whose requests carry the headers.
func callTool(t *testing.T, at string, headers http.Header, tool string, arguments any) *mcp.CallToolResult {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:   at + "/mcp",
		HTTPClient: &http.Client{Transport: withHeaders(headers)},
	}, nil)
	require.NoError(t, err)
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(t, err)
	return result
}

type withHeaders http.Header

func (h withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range h {
		r.Header[name] = values
	}
	return http.DefaultTransport.RoundTrip(r)
}
