package portal_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
)

// Whatever one asks, and however: no answer holds what is confidential, nor others'
// private notes, nor tells what is hidden from what is not there.
func TestNoAnswerHoldsWhatOneMayNotSee(t *testing.T) {
	p, _ := inDir(t)
	for _, id := range []string{"G1", "D1"} {
		require.NoError(t, p.AddNote(t.Context(), manager, id, "hush", true))
	}
	require.NoError(t, p.AddNote(t.Context(), manager, "G2", "merger papers", false))
	_, err := p.SetDeliverableStatus(t.Context(), manager, "D2", "blocked", "merger delayed")
	require.NoError(t, err)

	for _, role := range []guard.Role{guard.Viewer, guard.Contributor} {
		t.Run(role.String(), func(t *testing.T) {
			session := served(t, p, role)
			check := func(what string, answer any, err error) {
				t.Helper()
				raw, marshalErr := json.Marshal(answer)
				require.NoError(t, marshalErr)
				all := string(raw)
				if err != nil {
					all += err.Error()
				}
				assert.NotRegexp(t, `(?i)secret|merger|hush`, all, what)
			}
			hidden := func(what string, answer any, err error) {
				t.Helper()
				check(what, answer, err)
				raw, _ := json.Marshal(answer)
				assert.NotRegexp(t, `\bG2\b|\bD2\b`, string(raw), what)
			}
			call := func(tool string, arguments map[string]any) (*mcp.CallToolResult, error) {
				return session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
			}

			for _, n := range needs {
				if n.tool == "import" || n.tool == "update_status" {
					continue // they name what the caller gave
				}
				result, err := call(n.tool, n.arguments)
				hidden(n.tool, result, err)
			}
			result, err := call("export", map[string]any{"format": "csv"})
			hidden("export as CSV", result, err)
			for _, words := range []string{"merge", "secre", "hus", "G", "work", "web"} {
				result, err := call("search", map[string]any{"words": words})
				hidden("search for "+words, result, err)
			}
			for _, uri := range []string{"portal://goals", "portal://deliverables", "portal://goals/G1", "portal://deliverables/D1"} {
				result, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
				require.NoError(t, err)
				hidden(uri, result, err)
			}
			for _, template := range []string{"portal://goals/{id}", "portal://deliverables/{id}"} {
				result, err := session.Complete(t.Context(), &mcp.CompleteParams{
					Ref: &mcp.CompleteReference{Type: "ref/resource", URI: template}, Argument: mcp.CompleteParamsArgument{Name: "id"},
				})
				require.NoError(t, err)
				hidden(template, result, err)
			}
			plan, err := session.Complete(t.Context(), &mcp.CompleteParams{
				Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "plan_next_deliverable"}, Argument: mcp.CompleteParamsArgument{Name: "goal"},
			})
			require.NoError(t, err)
			hidden("the prompt's completion", plan, err)
			for prompt, arguments := range map[string]map[string]string{"weekly_status": nil, "plan_next_deliverable": {"goal": "G1"}} {
				result, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: prompt, Arguments: arguments})
				require.NoError(t, err)
				hidden(prompt, result, err)
			}

			// What is hidden is answered as what is not there.
			for _, c := range []struct {
				tool      string
				arguments func(goal, deliverable string) map[string]any
			}{
				{"get_goal", func(g, _ string) map[string]any { return map[string]any{"id": g} }},
				{"get_deliverable", func(_, d string) map[string]any { return map[string]any{"id": d} }},
				{"list_deliverables", func(g, _ string) map[string]any { return map[string]any{"goal": g} }},
				{"export", func(g, _ string) map[string]any { return map[string]any{"goal": g} }},
				{"add_note", func(g, _ string) map[string]any { return map[string]any{"id": g, "text": "x"} }},
				{"add_note", func(_, d string) map[string]any { return map[string]any{"id": d, "text": "x"} }},
				{"update_status", func(g, _ string) map[string]any { return map[string]any{"id": g, "status": "reached"} }},
				{"update_status", func(_, d string) map[string]any { return map[string]any{"id": d, "status": "done"} }},
				{"propose_deliverable", func(g, _ string) map[string]any {
					return map[string]any{"goal": g, "title": "x", "due": "2027-01-01"}
				}},
				{"propose_deliverable", func(_, d string) map[string]any {
					return map[string]any{"goal": "G1", "title": "x", "due": "2027-01-01", "depends_on": []string{d}}
				}},
			} {
				concealed, err := call(c.tool, c.arguments("G2", "D2"))
				require.NoError(t, err)
				absent, err := call(c.tool, c.arguments("G7", "D7"))
				require.NoError(t, err)
				check(c.tool, concealed, nil)
				require.True(t, concealed.IsError, c.tool)
				same := func(r *mcp.CallToolResult, goal, deliverable string) string {
					text := r.Content[0].(*mcp.TextContent).Text
					return strings.NewReplacer(goal, "G", deliverable, "D").Replace(text)
				}
				assert.Equal(t, same(absent, `"G7"`, `"D7"`), same(concealed, `"G2"`, `"D2"`), c.tool)
			}
		})
	}
}
