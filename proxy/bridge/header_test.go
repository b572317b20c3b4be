package bridge

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatTheNewestRevisionWantsInHeadersIsThere(t *testing.T) {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`
	for name, test := range map[string]struct {
		call   string
		header map[string]string
	}{
		"a tool": {`"method":"tools/call","params":{"name":"goals",` + meta + `}`,
			map[string]string{"Mcp-Method": "tools/call", "Mcp-Name": "goals"}},
		"a prompt": {`"method":"prompts/get","params":{"name":"p",` + meta + `}`,
			map[string]string{"Mcp-Method": "prompts/get", "Mcp-Name": "p"}},
		"a resource": {`"method":"resources/read","params":{"name":"not this","uri":"file:///ä",` + meta + `}`,
			map[string]string{"Mcp-Method": "resources/read", "Mcp-Name": "=?base64?ZmlsZTovLy/DpA==?="}},
		"a name that would be a header of its own": {`"method":"tools/call","params":{"name":"a\r\nX-Serverless-Authorization: b",` + meta + `}`,
			map[string]string{"Mcp-Name": "=?base64?YQ0KWC1TZXJ2ZXJsZXNzLUF1dGhvcml6YXRpb246IGI=?="}},
		"a name that looks encoded": {`"method":"tools/call","params":{"name":"=?base64?x?=",` + meta + `}`,
			map[string]string{"Mcp-Name": "=?base64?PT9iYXNlNjQ/eD89?="}},
		"a method that would be a header of its own": {`"method":"a\r\nb: c","params":{` + meta + `}`,
			map[string]string{"Mcp-Method": "=?base64?YQ0KYjogYw==?="}},
		"neither": {`"method":"server/discover","params":{` + meta + `}`,
			map[string]string{"Mcp-Method": "server/discover", "Mcp-Name": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := newScript(t, nil)
			e := r.raw(t)
			e.write(`{"jsonrpc":"2.0","id":1,` + test.call + `}`)
			assert.Contains(t, e.read(), `"id":1`)
			require.Len(t, s.got, 1)
			assert.Equal(t, "2026-07-28", s.got[0].header.Get("Mcp-Protocol-Version"))
			for name, want := range test.header {
				assert.Equal(t, want, s.got[0].header.Get(name), name)
			}
		})
	}
}

func TestOlderRevisionsHaveNoneOfTheNewestHeaders(t *testing.T) {
	r, s := newScript(t, nil)
	e := r.raw(t)
	e.write(aCall)
	assert.Contains(t, e.read(), `"id":7`)
	for name := range s.got[0].header {
		assert.False(t, strings.HasPrefix(name, "Mcp-"), name)
	}
}

func TestARevisionThatCouldBeNoHeaderIsLeftToTheServer(t *testing.T) {
	r, s := newScript(t, nil)
	e := r.raw(t)
	e.write(`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28\r\nA: b"}}}`)
	assert.Contains(t, e.read(), `"id":1`)
	assert.Empty(t, s.got[0].header.Get("Mcp-Protocol-Version"))
}

const schema = `{"type":"object","properties":{
	"region":{"type":"string","x-mcp-header":"Region"},
	"size":{"type":"integer","x-mcp-header":"Size"},
	"fast":{"type":"boolean","x-mcp-header":"Fast"},
	"where":{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}}},
	"ratio":{"type":"number","x-mcp-header":"Ratio"},
	"bad":{"type":"string","x-mcp-header":"X: y"},
	"plain":{"type":"string"}}}`

func TestArgumentsThatASchemaWantsInHeadersAreThere(t *testing.T) {
	for name, test := range map[string]struct {
		arguments string
		want      map[string]string
	}{
		"of every kind": {`{"region":"eu","size":3,"fast":false,"where":{"city":"Köln"},"plain":"x","bad":"y"}`,
			map[string]string{"Mcp-Param-Region": "eu", "Mcp-Param-Size": "3", "Mcp-Param-Fast": "false", "Mcp-Param-City": "=?base64?S8O2bG4=?="}},
		"that are not there":            {`{"region":null,"where":"x"}`, map[string]string{}},
		"that cannot be in a header":    {`{"region":["eu"],"size":1.5,"ratio":0.5}`, map[string]string{}},
		"that no number can be exactly": {`{"size":9007199254740993}`, map[string]string{}},
		"that are none":                 {`[1]`, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			var tools toolParams
			tools.learn(json.RawMessage(`{"tools":[{"name":"t","inputSchema":` + schema + `},{"name":"other","inputSchema":7}]}`))
			h := http.Header{}
			tools.setHeaders(h, message{name: "t", params: json.RawMessage(`{"arguments":` + test.arguments + `}`)})
			got := map[string]string{}
			for name := range h {
				got[name] = h.Get(name)
			}
			assert.Equal(t, test.want, got)
		})
	}
}

// The schema of a tool is the server's, and the argument perhaps a model's.
func TestToolParams_SetNoHeaderButTheirOwn(t *testing.T) {
	var tools toolParams
	properties := map[string]any{}
	arguments := map[string]any{}
	for _, header := range []string{
		"X-Goog-IAP-JWT-Assertion", "Authorization", "X-Serverless-Authorization", "Host", "Cookie", "Forwarded", "X_Forwarded_For", "Mcp-Session-Id",
		"-", "x: y", "x\r\nHost: y", "", "../X-Goog-Y", "ä",
	} {
		properties["of "+header] = map[string]any{"type": "string", "x-mcp-header": header}
		arguments["of "+header] = "forged"
	}
	list, err := json.Marshal(map[string]any{"tools": []any{map[string]any{"name": "t", "inputSchema": map[string]any{"properties": properties}}}})
	require.NoError(t, err)
	tools.learn(list)
	params, err := json.Marshal(map[string]any{"arguments": arguments})
	require.NoError(t, err)
	h := http.Header{}
	tools.setHeaders(h, message{name: "t", params: params})
	assert.Len(t, h, 9)
	for name := range h {
		assert.True(t, strings.HasPrefix(name, "Mcp-Param-"), name)
	}
}

// An editor may have the list of tools from elsewhere, and never ask for it.
func TestTheListOfToolsIsReadForACallThatLacksHeaders(t *testing.T) {
	p := newPortal(t)
	p.AddTool(&mcp.Tool{Name: "regional", InputSchema: json.RawMessage(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}`)}, func(_ context.Context, r *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "it is " + r.Extra.Header.Get("Mcp-Param-Region")}}}, nil
	})
	r := newRig(t, serve(t, p.streamable(mcp.StreamableHTTPOptions{Stateless: true})))
	e := r.raw(t)
	for range 2 {
		e.write(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"regional","arguments":{"region":"eu"},` +
			`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)
		assert.Contains(t, e.read(), `"text":"it is eu"`)
	}
}
