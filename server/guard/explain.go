package guard

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// explain puts all that is wrong with a tool's arguments, and what to do about it, in
// the place of the library's words, which name the first thing in terms of the schema.
func (g *Guard) explain(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		if method != methodCallTool || err != nil || !isToolError(result) {
			return result, err
		}
		result = plain(result.(*mcp.CallToolResult))
		tool, known := g.features[toolKind][toolName(req)]
		params, ok := req.GetParams().(*mcp.CallToolParamsRaw)
		if !known || !ok || tool.input == nil {
			return result, nil
		}
		// A tool whose arguments are wrong has not been called: the error is about them.
		if wrong := wrongArguments(tool.input, params.Arguments); len(wrong) > 0 {
			return plain(failed(strings.Join(wrong, "\n"))), nil
		}
		return result, nil
	}
}

// plain makes sure that an editor can show what a tool says of its failure, which may quote
// anything.
func plain(result *mcp.CallToolResult) *mcp.CallToolResult {
	shown := *result
	shown.Content = slices.Clone(result.Content)
	for i, content := range shown.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			escaped := *text
			escaped.Text = plaintext.Escape(text.Text)
			shown.Content[i] = &escaped
		}
	}
	return &shown
}

// wrongArguments says for each argument that is not as the schema has it what is wrong;
// nothing where it does not know.
func wrongArguments(schema *jsonschema.Schema, raw json.RawMessage) []string {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		raw = json.RawMessage("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil
	}
	var w wrong
	w.check("", schema, value)
	return w
}

// wrong collects what is wrong, by argument.
type wrong []string

func (w *wrong) add(path, format string, args ...any) {
	*w = append(*w, fmt.Sprintf("%s: %s", cmp.Or(path, "arguments"), fmt.Sprintf(format, args...)))
}

func (w *wrong) check(path string, schema *jsonschema.Schema, value any) {
	types := schema.Types
	if schema.Type != "" {
		types = []string{schema.Type}
	}
	if len(types) > 0 && !slices.ContainsFunc(types, func(t string) bool { return isOf(t, value) }) {
		w.add(path, "%s: it is to be of type %s", shown(value), strings.Join(types, " or "))
		return
	}
	switch v := value.(type) {
	case string:
		if len(schema.Enum) > 0 && !slices.Contains(schema.Enum, value) {
			w.add(path, "%s: use one of %s", shown(v), listed(schema.Enum))
		}
	case json.Number:
		w.checkRange(path, schema, v)
	case map[string]any:
		w.checkObject(path, schema, v)
	case []any:
		for i, element := range v {
			if schema.Items != nil {
				w.check(fmt.Sprintf("%s[%d]", path, i), schema.Items, element)
			}
		}
	}
}

func (w *wrong) checkRange(path string, schema *jsonschema.Schema, number json.Number) {
	n, err := number.Float64()
	low, high := schema.Minimum, schema.Maximum
	if err != nil || low == nil || high == nil || *low <= n && n <= *high {
		return
	}
	w.add(path, "%s: use %v to %v", shown(number), *low, *high)
}

func (w *wrong) checkObject(path string, schema *jsonschema.Schema, object map[string]any) {
	below := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	for _, name := range schema.Required {
		if _, there := object[name]; !there {
			description := ""
			if property := schema.Properties[name]; property != nil && property.Description != "" {
				description = ": " + property.Description
			}
			w.add(below(name), "it is required%s", description)
		}
	}
	closed := schema.AdditionalProperties != nil && schema.AdditionalProperties.Not != nil
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property, known := schema.Properties[name]
		switch {
		case known:
			w.check(below(name), property, object[name])
		case closed && len(schema.Properties) == 0:
			w.add(below(cut(name)), "there is nothing to say here: leave it out")
		case closed:
			w.add(below(cut(name)), "there is no such argument: use %s", strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ", "))
		}
	}
}

// isOf says if a value is of a type of JSON schema.
func isOf(name string, value any) bool {
	switch v := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	case json.Number:
		n, err := v.Float64()
		return name == "number" || name == "integer" && err == nil && n == float64(int64(n))
	}
	return false
}

func listed(values []any) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return strings.Join(texts, ", ")
}

// shown is a value as it was written, cut.
func shown(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return "…"
	}
	return cut(string(raw))
}
