package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"sync"
)

// toolParams are the arguments of tools that their schemas (x-mcp-header) want repeated in
// headers. A client over stdio knows nothing of headers, so that it is for the bridge to
// look at the lists of tools that pass. A tool whose headers are over a limit cannot be
// called.
type toolParams struct {
	mu     sync.Mutex
	byTool map[string]toolHeaders
	size   int   // of all names in it, in bytes
	over   error // the limit that keeps some tools out of byTool; nil: all are in it that want headers
}

// toolHeaders are those of one tool.
type toolHeaders struct {
	headers []paramHeader
	size    int   // of their names, in bytes
	over    error // the limit that they exceed
}

type paramHeader struct {
	path   []string // in the arguments
	header string
}

// fieldName is a token of RFC 9110, section 5.6.2.
var fieldName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

// learn reads a result of tools/list. It returns where the next page is, or "".
func (t *toolParams) learn(result json.RawMessage) (next string) {
	var list struct {
		Tools toolList `json:"tools"`
		Next  string   `json:"nextCursor"`
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	list.Tools.to = t
	_ = json.Unmarshal(result, &list) // what is no list is for the editor to refuse
	return list.Next
}

// A toolList is read one tool at a time: a list of millions takes no more memory than one
// of the largest tool.
type toolList struct{ to *toolParams }

func (l *toolList) UnmarshalJSON(raw []byte) error {
	if raw[0] != '[' {
		return nil
	}
	elements := json.NewDecoder(bytes.NewReader(raw))
	_, _ = elements.Token() // the bracket
	for elements.More() {
		var tool struct {
			Name    string      `json:"name"`
			Headers toolHeaders `json:"inputSchema"`
		}
		if elements.Decode(&tool) == nil { // what is no tool cannot be called
			l.to.keep(tool.Name, tool.Headers)
		}
	}
	return nil
}

// keep replaces what is known of a tool. t.mu is held.
func (t *toolParams) keep(name string, now toolHeaders) {
	if before, known := t.byTool[name]; known {
		t.size -= len(name) + before.size
		delete(t.byTool, name)
	}
	if len(now.headers) == 0 && now.over == nil {
		return
	}
	size := len(name) + now.size
	if len(t.byTool) >= maxTools || t.size+size > maxToolsBytes {
		t.over = fmt.Errorf("more than %d tools want arguments in headers, or the names take more than %d KiB", maxTools, maxToolsBytes>>10)
		return
	}
	if t.byTool == nil {
		t.byTool = map[string]toolHeaders{}
	}
	t.byTool[name] = now
	t.size += size
}

// exceeded notes that there are tools which are not known, because of a limit.
func (t *toolParams) exceeded(limit error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = limit
}

// forget is for when another server has the client.
func (t *toolParams) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byTool, t.size, t.over = nil, 0, nil
}

// setHeaders sets the headers that a call must have. The error is the limit that keeps them
// from being known.
func (t *toolParams) setHeaders(h http.Header, m message) error {
	t.mu.Lock()
	tool, known := t.byTool[m.name]
	over := t.over
	t.mu.Unlock()
	if known {
		over = tool.over
	}
	if over != nil || !known {
		return over
	}
	var params struct {
		Arguments map[string]any `json:"arguments"`
	}
	_ = json.Unmarshal(m.params, &params) // other arguments than an object are for the server to refuse
	size := 0
	for _, p := range tool.headers {
		text, ok := primitive(lookUp(params.Arguments, p.path))
		if !ok {
			continue
		}
		value := headerValue(text)
		if size += len(value); size > maxParamBytes {
			return fmt.Errorf("it wants arguments in headers that take more than %d KiB in this call", maxParamBytes>>10)
		}
		h.Set(p.header, value)
	}
	return nil
}

// headerKey is the keyword of a schema that names a header.
const headerKey = "x-mcp-header"

type toolSchema struct {
	Header     json.RawMessage       `json:"x-mcp-header"`
	Properties map[string]toolSchema `json:"properties"`
}

// UnmarshalJSON reads the headers that a schema names. Most schemas name none, and are not
// looked into.
func (t *toolHeaders) UnmarshalJSON(schema []byte) error {
	named := bytes.Contains(schema, []byte(headerKey))
	switch {
	case !named && !bytes.Contains(schema, []byte(`\u`)): // with which it could be written
	case len(schema) <= maxSchema:
		var root toolSchema
		_ = json.Unmarshal(schema, &root) // a schema that is none names no headers
		t.read(root, nil)
	case named:
		t.exceed("the schema of the tool names headers and is larger than %d KiB", maxSchema>>10)
	}
	return nil
}

func (t *toolHeaders) exceed(format string, args ...any) {
	t.headers, t.size, t.over = nil, 0, fmt.Errorf(format, args...)
}

func (t *toolHeaders) read(s toolSchema, path []string) {
	for name, property := range s.Properties {
		if t.over != nil {
			return
		}
		if len(path) == maxSchemaDepth {
			if property.namesHeader() {
				t.exceed("the tool wants an argument in a header that is nested deeper than %d levels", maxSchemaDepth)
			}
			continue
		}
		here := append(path[:len(path):len(path)], name)
		if header := property.header(); header != "" {
			t.add(paramHeader{here, textproto.CanonicalMIMEHeaderKey("Mcp-Param-" + header)})
		}
		if t.over == nil {
			t.read(property, here)
		}
	}
}

func (t *toolHeaders) add(p paramHeader) {
	t.size += len(p.header)
	for _, name := range p.path {
		t.size += len(name)
	}
	t.headers = append(t.headers, p)
	switch {
	case len(t.headers) > maxHeaders:
		t.exceed("the tool wants more than %d arguments in headers", maxHeaders)
	case t.size > maxToolBytes:
		t.exceed("the names of the tool's headers and of their arguments take more than %d KiB", maxToolBytes>>10)
	}
}

// header is the one that a schema names, or "".
func (s toolSchema) header() string {
	var header string
	if json.Unmarshal(s.Header, &header) != nil || !fieldName.MatchString(header) {
		return ""
	}
	return header
}

func (s toolSchema) namesHeader() bool {
	for _, property := range s.Properties {
		if property.namesHeader() {
			return true
		}
	}
	return s.header() != ""
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
