package bridge

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// standardHeaders are what the revision 2026-07-28 wants said in headers too, so that what
// stands between need not read bodies. They repeat the body, and a server refuses what
// differs.
func standardHeaders(h http.Header, m message, tools *toolParams) {
	if m.isResponse() {
		return
	}
	h.Set("Mcp-Method", headerValue(m.method))
	switch m.method {
	case methodCallTool, methodGetPrompt, methodReadResource:
		h.Set("Mcp-Name", headerValue(m.name))
	}
	if m.method == methodCallTool {
		tools.setHeaders(h, m)
	}
}

const base64Prefix, base64Suffix = "=?base64?", "?="

// headerValue is a text in the encoding that the specification gives to what is not plain
// ASCII, or could be taken for something encoded.
func headerValue(s string) string {
	plain := strings.TrimSpace(s) == s && !(strings.HasPrefix(s, base64Prefix) && strings.HasSuffix(s, base64Suffix))
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= 0x20 && s[i] <= 0x7e
	}
	if plain {
		return s
	}
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(s)) + base64Suffix
}

// maxTools bounds what is remembered of one server.
const maxTools = 10_000

// toolParams are the arguments of tools that their schemas (x-mcp-header) want repeated in
// headers. A client over stdio knows nothing of headers, so that it is for the bridge to
// look at the lists of tools that pass.
type toolParams struct {
	mu     sync.Mutex
	byTool map[string][]paramHeader
}

// fieldName is a token of RFC 9110, section 5.6.2.
var fieldName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

type paramHeader struct {
	path   []string // in the arguments
	header string
}

type toolSchema struct {
	Header     json.RawMessage       `json:"x-mcp-header"`
	Properties map[string]toolSchema `json:"properties"`
}

// learn reads a result of tools/list. It returns where the next page is, or "".
func (t *toolParams) learn(result json.RawMessage) (next string) {
	var list struct {
		Tools []struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"inputSchema"`
		} `json:"tools"`
		Next string `json:"nextCursor"`
	}
	if json.Unmarshal(result, &list) != nil {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byTool == nil {
		t.byTool = map[string][]paramHeader{}
	}
	for _, tool := range list.Tools {
		var schema toolSchema
		_ = json.Unmarshal(tool.Schema, &schema) // a schema that is none names no headers
		headers := schema.headers(nil, nil)
		if len(headers) == 0 {
			delete(t.byTool, tool.Name)
		} else if len(t.byTool) < maxTools {
			t.byTool[tool.Name] = headers
		}
	}
	return list.Next
}

func (s toolSchema) headers(path []string, found []paramHeader) []paramHeader {
	for name, property := range s.Properties {
		here := append(path[:len(path):len(path)], name)
		var header string
		if json.Unmarshal(property.Header, &header) == nil && fieldName.MatchString(header) {
			found = append(found, paramHeader{here, textproto.CanonicalMIMEHeaderKey("Mcp-Param-" + header)})
		}
		found = property.headers(here, found)
	}
	return found
}

// forget is for when another server has the client.
func (t *toolParams) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byTool = nil
}

func (t *toolParams) setHeaders(h http.Header, m message) {
	t.mu.Lock()
	headers := t.byTool[m.name]
	t.mu.Unlock()
	if len(headers) == 0 {
		return
	}
	var params struct {
		Arguments map[string]any `json:"arguments"`
	}
	_ = json.Unmarshal(m.params, &params) // other arguments than an object are for the server to refuse
	for _, p := range headers {
		if value, ok := primitive(lookUp(params.Arguments, p.path)); ok {
			h.Set(p.header, headerValue(value))
		}
	}
}

func lookUp(in map[string]any, path []string) any {
	value := in[path[0]]
	if len(path) == 1 {
		return value
	}
	inner, _ := value.(map[string]any)
	return lookUp(inner, path[1:])
}

// maxSafeInteger is the largest integer that every client and server can hold exactly.
const maxSafeInteger = 1<<53 - 1

// primitive is the text of the kinds of values that may be in a header.
func primitive(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= maxSafeInteger {
			return strconv.FormatInt(int64(v), 10), true
		}
	}
	return "", false
}
