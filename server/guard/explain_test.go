package guard_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/server/guard"
)

func TestAllThatIsWrongWithArgumentsIsToldAtOnce(t *testing.T) {
	type link struct {
		Title string `json:"title"`
		URL   string `json:"url" jsonschema:"https"`
	}
	type in struct {
		ID    string   `json:"id" jsonschema:"such as G1"`
		Count int      `json:"count,omitempty"`
		On    bool     `json:"on,omitempty"`
		Words []string `json:"words,omitempty"`
		Links []link   `json:"links,omitempty"`
	}
	g := newGuarded(guard.Options{})
	guard.AddTool(g.guard, guard.Viewer, &mcp.Tool{Name: "take"}, func(_ context.Context, _ *mcp.CallToolRequest, in in) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New("the tool's own words about " + in.ID)
	})
	guard.AddTool(g.guard, guard.Viewer, &mcp.Tool{Name: "nothing"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	session := g.as(t, person("ada@example.com"))
	for name, c := range map[string]struct{ tool, arguments, want string }{
		"nothing is wrong": {"take", `{"id":"G1","count":1.0,"words":null}`, "the tool's own words about G1"},
		"missing":          {"take", `{}`, "id: it is required: such as G1"},
		"no arguments":     {"take", `null`, "id: it is required: such as G1"},
		"several": {"take", `{"id":5,"count":"many","on":null,"wrods":["x"]}`,
			"count: \"many\": it is to be of type integer\nid: 5: it is to be of type string\non: null: it is to be of type boolean\n" +
				"wrods: there is no such argument: use count, id, links, on, words"},
		"inside": {"take", `{"id":"G1","words":["a",1],"links":[{"title":"x","href":"y"}]}`,
			"links[0].url: it is required: https\nlinks[0].href: there is no such argument: use title, url\nwords[1]: 1: it is to be of type string"},
		"a fraction":      {"take", `{"id":"G1","count":1.5}`, "count: 1.5: it is to be of type integer"},
		"a long value":    {"take", `{"id":["` + strings.Repeat("x", 1000) + `"]}`, "… (804 bytes more): it is to be of type string"},
		"nothing to give": {"nothing", `{"id":"G1"}`, "id: there is nothing to say here: leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			result := call(t, session, c.tool, json.RawMessage(c.arguments))
			assert.True(t, result.IsError)
			assert.Contains(t, text(result), c.want)
			assert.NotContains(t, text(result), "validating")
		})
	}
}

func FuzzArguments(f *testing.F) {
	type in struct {
		ID    string   `json:"id"`
		Count int      `json:"count,omitempty"`
		Words []string `json:"words,omitempty"`
	}
	g := newGuarded(guard.Options{Limits: guard.Limits{CallsPerMinute: 1e6, Burst: 1e6}})
	guard.AddTool(g.guard, guard.Viewer, &mcp.Tool{Name: "take"}, func(context.Context, *mcp.CallToolRequest, in) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	session := g.as(f, person("ada@example.com"))
	f.Add(`{"id":5,"count":1e400,"words":[null,{}]}`)
	f.Add(`{"id":"x","\u0000":[[[[]]]]}`)
	f.Fuzz(func(t *testing.T, arguments string) {
		if !json.Valid([]byte(arguments)) {
			return
		}
		result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: "take", Arguments: json.RawMessage(arguments)})
		if err != nil {
			assert.NotContains(t, err.Error(), "internal error")
			return
		}
		assert.NotContains(t, text(result), "panic")
	})
}

// A tool's own words may quote anything, and so may the guard's about an argument.
func TestAToolsFailureIsToldInPlainText(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			g := newGuarded(guard.Options{})
			g.add("fail", guard.Viewer, true, func(context.Context) (string, error) { return "", errors.New("cannot read " + attack.Text) })
			session := g.as(t, person("ada@example.com"))
			result := call(t, session, "fail", nil)
			require.True(t, result.IsError)
			plaintexttest.AssertPlain(t, text(result))
			assert.Contains(t, text(result), "cannot read ")
			assert.Contains(t, text(result), attack.Shown)

			result = call(t, session, "fail", map[string]any{"text": []string{attack.Text}, attack.Text: 1})
			require.True(t, result.IsError)
			plaintexttest.AssertPlain(t, text(result))
		})
	}
}
