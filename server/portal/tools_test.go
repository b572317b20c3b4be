package portal_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/portal"
)

// served is a portal behind a guard, and a client of it that has a role.
func served(t testing.TB, p *portal.Portal, role guard.Role) *mcp.ClientSession {
	t.Helper()
	return servedAs(t, p, reader(role.String(), role))
}

func servedAs(t testing.TB, p *portal.Portal, r portal.Reader) *mcp.ClientSession {
	t.Helper()
	g := guard.New(&mcp.Implementation{Name: "test", Version: "1"}, guard.Options{
		Server: &mcp.ServerOptions{CompletionHandler: p.Complete},
		Client: "acme", Access: guard.Access{Default: &r.Role}, Logger: slog.New(slog.DiscardHandler),
		Limits: guard.Limits{CallsPerMinute: 1e6, Burst: 1e6},
	})
	p.Register(g)
	require.NoError(t, g.Check())
	inside, outside := mcp.NewInMemoryTransports()
	ctx := identity.NewContext(t.Context(), caller(r))
	connected, err := g.Connect(ctx, inside)
	require.NoError(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(), outside, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = session.Close()
		_ = connected.Close()
	})
	return session
}

// use calls a tool, whose structured result it gives, or its words if it failed.
func use(t testing.TB, session *mcp.ClientSession, tool string, arguments map[string]any) (map[string]any, string) {
	t.Helper()
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	require.NoError(t, err)
	if result.IsError {
		return nil, result.Content[0].(*mcp.TextContent).Text
	}
	raw, err := json.Marshal(result.StructuredContent)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(raw, &out))
	return out, ""
}

type need struct {
	tool      string
	role      guard.Role
	arguments map[string]any
}

// needs is which role each tool is for, with arguments that succeed.
var needs = []need{
	{"whoami", guard.Viewer, nil},
	{"list_goals", guard.Viewer, nil},
	{"get_goal", guard.Viewer, map[string]any{"id": "G1"}},
	{"list_deliverables", guard.Viewer, nil},
	{"get_deliverable", guard.Viewer, map[string]any{"id": "D1"}},
	{"search", guard.Viewer, map[string]any{"words": "work"}},
	{"progress_summary", guard.Viewer, nil},
	{"due_or_blocked", guard.Viewer, nil},
	{"export", guard.Viewer, nil},
	{"add_note", guard.Contributor, map[string]any{"id": "D1", "text": "hello"}},
	{"propose_deliverable", guard.Contributor, map[string]any{"goal": "G1", "title": "x", "due": "2027-01-01"}},
	{"update_status", guard.Contributor, map[string]any{"id": "D4", "status": "in_review"}},
	{"import", guard.Admin, map[string]any{"format": "yaml", "text": "goals: []"}},
}

func TestEachRoleHasItsTools(t *testing.T) {
	p, _ := inDir(t)
	_, err := p.Import(t.Context(), admin, "yaml", "deliverables: [{id: D4, goal: G1, title: x, owner: contributor@example.com, status: planned, due: 2027-01-01}]", false, nil)
	require.NoError(t, err)
	for _, role := range []guard.Role{guard.Viewer, guard.Contributor, guard.Manager, guard.Admin} {
		t.Run(role.String(), func(t *testing.T) {
			session := served(t, p, role)
			list, err := session.ListTools(t.Context(), nil)
			require.NoError(t, err)
			var listed []string
			for _, tool := range list.Tools {
				listed = append(listed, tool.Name)
				i := slices.IndexFunc(needs, func(n need) bool { return n.tool == tool.Name })
				require.GreaterOrEqual(t, i, 0, "%s is in no row", tool.Name)
				assert.Equal(t, needs[i].role == guard.Viewer, tool.Annotations.ReadOnlyHint, tool.Name)
				assert.False(t, *tool.Annotations.OpenWorldHint, tool.Name)
				assert.Equal(t, tool.Name == "import", *tool.Annotations.DestructiveHint, tool.Name)
				assert.Equal(t, tool.Annotations.ReadOnlyHint || tool.Name == "import", tool.Annotations.IdempotentHint, tool.Name)
				assert.NotEmpty(t, tool.Description, tool.Name)
				assert.NotNil(t, tool.OutputSchema, tool.Name)
			}
			assert.True(t, slices.IsSorted(listed), "the same list each time")
			for _, n := range needs {
				_, failed := use(t, session, n.tool, n.arguments)
				assert.Equal(t, role >= n.role, failed == "", "%s: %s", n.tool, failed)
				assert.Equal(t, role >= n.role, slices.Contains(listed, n.tool), n.tool)
			}
		})
	}
}

func TestTheSampleHasNoToolThatWouldChangeIt(t *testing.T) {
	list, err := served(t, open(t, nil, "acme"), guard.Admin).ListTools(t.Context(), nil)
	require.NoError(t, err)
	for _, tool := range list.Tools {
		assert.True(t, tool.Annotations.ReadOnlyHint, tool.Name)
	}
}

func TestListsComeInPages(t *testing.T) {
	p, _ := inDir(t)
	session := served(t, p, guard.Manager)
	var got []string
	arguments := map[string]any{"limit": 1}
	for {
		page, failed := use(t, session, "list_deliverables", arguments)
		require.Empty(t, failed)
		assert.EqualValues(t, 3, page["total"])
		for _, d := range page["deliverables"].([]any) {
			got = append(got, d.(map[string]any)["id"].(string))
		}
		if page["next_cursor"] == nil {
			break
		}
		arguments["cursor"] = page["next_cursor"]
	}
	assert.Equal(t, []string{"D2", "D1", "D3"}, got)
}

func TestWhatIsAskedWrongIsExplained(t *testing.T) {
	p, _ := inDir(t)
	session := served(t, p, guard.Admin)
	for _, c := range []struct {
		tool      string
		arguments map[string]any
		want      string
	}{
		{"list_goals", map[string]any{"status": "lost"}, `status: "lost": use one of planned, active, reached, dropped`},
		{"list_goals", map[string]any{"state": "active"}, `state: there is no such argument: use cursor, limit, search, status`},
		{"list_goals", map[string]any{"limit": 1000}, "limit: 1000: use 1 to 200"},
		{"list_goals", map[string]any{"cursor": "?"}, "cursor: it is not one that this list gave"},
		{"list_deliverables", map[string]any{"goal": "G9"}, `goal: there is no goal "G9"; the goals are G1, G2`},
		{"list_deliverables", map[string]any{"due_before": "soon"}, `due_before: "soon": write a date`},
		{"get_goal", map[string]any{"id": "G9"}, `id: there is no goal "G9"`},
		{"get_goal", nil, "id: it is required: such as G1"},
		{"get_goal", map[string]any{"id": 5}, "id: 5: it is to be of type string"},
		{"search", map[string]any{"words": " "}, "name at least one word"},
		{"due_or_blocked", map[string]any{"days": 1000}, "days: 1000: use 1 to 366"},
		{"update_status", map[string]any{"id": "G1", "status": "done"}, `status: "done": a goal has one of`},
		{"update_status", map[string]any{"id": "G1", "status": "lost"}, `status: "lost": use one of planned, active, reached, dropped, proposed, in_progress, blocked, in_review, done`},
		{"update_status", map[string]any{"id": "D1", "status": "reached"}, `status: "reached": a deliverable has one of`},
		{"add_note", map[string]any{"id": "D1", "text": ""}, "text"},
		{"export", map[string]any{"format": "pdf"}, `format: "pdf": use one of yaml, csv`},
	} {
		_, failed := use(t, session, c.tool, c.arguments)
		assert.Contains(t, failed, c.want, c.tool)
	}
}

func TestProgressAndWhatPresses(t *testing.T) {
	p, _ := inDir(t)
	session := served(t, p, guard.Manager)
	progress, _ := use(t, session, "progress_summary", nil)
	assert.Equal(t, "2026-11-21", progress["today"])
	g2 := progress["goals"].([]any)[0].(map[string]any)
	assert.Equal(t, map[string]any{"id": "G2", "title": "Secret", "status": "active", "target": "2027-02-01",
		"by_status": map[string]any{"planned": 1.0}, "agreed": 1.0, "done": 0.0, "overdue": 1.0, "blocked": 0.0}, g2)

	due, _ := use(t, session, "due_or_blocked", nil)
	var why []any
	for _, d := range due["deliverables"].([]any) {
		why = append(why, d.(map[string]any)["id"], d.(map[string]any)["why"])
	}
	assert.Equal(t, []any{"D2", []any{"overdue"}, "D1", []any{"due", "waiting"}, "D3", []any{"blocked"}}, why)
}

func TestResourcesPromptsAndCompletionShowWhatOneMaySee(t *testing.T) {
	p, _ := inDir(t)
	for role, sees := range map[guard.Role]bool{guard.Viewer: false, guard.Manager: true} {
		t.Run(role.String(), func(t *testing.T) {
			session := served(t, p, role)
			read := func(uri string) (string, error) {
				result, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
				if err != nil {
					return "", err
				}
				return result.Contents[0].Text, nil
			}
			all, err := read("portal://goals")
			require.NoError(t, err)
			assert.Contains(t, all, `"id":"G1"`)
			assert.NotContains(t, all, "history", "which would outgrow what one may read at once")
			assert.Equal(t, sees, strings.Contains(all, `"id":"G2"`))
			_, err = read("portal://goals/G2")
			assert.Equal(t, sees, err == nil)
			_, err = read("portal://deliverables/D2")
			assert.Equal(t, sees, err == nil)
			_, err = read("portal://deliverables/D1")
			assert.NoError(t, err)

			completed, err := session.Complete(t.Context(), &mcp.CompleteParams{
				Ref: &mcp.CompleteReference{Type: "ref/resource", URI: "portal://goals/{id}"}, Argument: mcp.CompleteParamsArgument{Name: "id", Value: "g"},
			})
			require.NoError(t, err)
			assert.Equal(t, sees, slices.Contains(completed.Completion.Values, "G2"))
			assert.Contains(t, completed.Completion.Values, "G1")

			weekly, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "weekly_status"})
			require.NoError(t, err)
			assert.Equal(t, sees, strings.Contains(weekly.Messages[0].Content.(*mcp.TextContent).Text, "Secret"))
			_, err = session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "plan_next_deliverable", Arguments: map[string]string{"goal": "G2"}})
			assert.Equal(t, sees, err == nil)
		})
	}
}

func TestALongImportTellsHowFarItIs(t *testing.T) {
	p, _ := inDir(t)
	role := guard.Admin
	g := guard.New(&mcp.Implementation{Name: "test", Version: "1"}, guard.Options{Client: "acme", Access: guard.Access{Default: &role}, Logger: slog.New(slog.DiscardHandler)})
	p.Register(g)
	inside, outside := mcp.NewInMemoryTransports()
	_, err := g.Connect(identity.NewContext(t.Context(), caller(admin)), inside)
	require.NoError(t, err)
	told := make(chan string, 10)
	client := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) { told <- req.Params.Message },
	})
	session, err := client.Connect(t.Context(), outside, nil)
	require.NoError(t, err)
	defer session.Close()
	params := &mcp.CallToolParams{Name: "import", Arguments: map[string]any{"format": "yaml", "text": agreed}}
	params.SetProgressToken("t1")
	_, err = session.CallTool(t.Context(), params)
	require.NoError(t, err)
	assert.Equal(t, "1 of 5 imported", <-told)
}

func FuzzToolInputs(f *testing.F) {
	p, _ := inDir(f)
	session := served(f, p, guard.Admin)
	for i, n := range needs {
		raw, err := json.Marshal(n.arguments)
		require.NoError(f, err)
		f.Add(i, string(raw))
	}
	f.Fuzz(func(t *testing.T, tool int, arguments string) {
		n := needs[(tool%len(needs)+len(needs))%len(needs)]
		if !json.Valid([]byte(arguments)) {
			return
		}
		result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: n.tool, Arguments: json.RawMessage(arguments)})
		if err != nil {
			assert.NotContains(t, err.Error(), "internal error")
			return
		}
		assert.NotEmpty(t, result.Content)
	})
}
