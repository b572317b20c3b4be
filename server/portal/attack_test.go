package portal_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/server/guard"
)

// inYAML is a text as a string in YAML, in which every character may be escaped.
func inYAML(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	require.NoError(t, err)
	var escaped strings.Builder
	for _, r := range string(b) {
		if r > '~' {
			fmt.Fprintf(&escaped, `\U%08x`, r)
			continue
		}
		escaped.WriteRune(r)
	}
	return escaped.String()
}

func TestNoToolStoresWhatNobodyCanSee(t *testing.T) {
	p, base := inDir(t)
	session := served(t, p, guard.Admin)
	before := stored(t, base)
	for _, attack := range plaintexttest.InUTF8() {
		for name, c := range map[string]struct {
			tool      string
			arguments map[string]any
			field     string
		}{
			"a title":                 {"propose_deliverable", map[string]any{"goal": "G1", "title": attack.Text, "due": "2027-01-01"}, "title: "},
			"an acceptance criterion": {"propose_deliverable", map[string]any{"goal": "G1", "title": "x", "due": "2027-01-01", "acceptance": []string{"x", "y\n" + attack.Text}}, "acceptance[1]: "},
			"a link's title":          {"propose_deliverable", map[string]any{"goal": "G1", "title": "x", "due": "2027-01-01", "links": []any{map[string]any{"title": attack.Text, "url": "https://example.com"}}}, "links[0].title: "},
			"a link's address":        {"propose_deliverable", map[string]any{"goal": "G1", "title": "x", "due": "2027-01-01", "links": []any{map[string]any{"title": "x", "url": "https://example.com/" + attack.Text}}}, "links[0].url: "},
			"a note":                  {"add_note", map[string]any{"id": "D1", "text": attack.Text}, "text: "},
			"a status's note":         {"update_status", map[string]any{"id": "D1", "status": "done", "note": attack.Text}, "note: "},
			"a goal's note":           {"update_status", map[string]any{"id": "G1", "status": "reached", "note": attack.Text}, "note: "},
		} {
			t.Run(attack.Name+" in "+name, func(t *testing.T) {
				_, refused := use(t, session, c.tool, c.arguments)
				assert.True(t, strings.HasPrefix(refused, c.field), refused)
				assert.Contains(t, refused, attack.Named, "which character it is")
				assert.Contains(t, refused, "remove", "what to do")
				plaintexttest.AssertPlain(t, refused)
			})
		}
	}
	assert.Equal(t, before, stored(t, base), "nothing was written")
}

// stored is every document of the client.
func stored(t *testing.T, base string) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := filepath.Glob(filepath.Join(base, "clients", "acme", "*", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		all[file] = string(content)
	}
	return all
}

func TestAnImportNamesEveryRowThatHidesSomething(t *testing.T) {
	p, base := inDir(t)
	session := served(t, p, guard.Admin)
	before := stored(t, base)
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			var sheet strings.Builder
			rows := csv.NewWriter(&sheet)
			require.NoError(t, rows.WriteAll([][]string{
				{"id", "goal", "title", "owner", "status", "due", "depends_on", "acceptance"},
				{"D1", "G1", attack.Text, "web", "done", "2027-01-01", "", ""},
				{"D8", "G1", "fine", "web", "done", "soon", "", "good; " + attack.Text},
				{"D9", "G1", "fine", attack.Text, "done", "2027-01-01", "", ""},
			}))
			text := inYAML(t, attack.Text)
			agreement := fmt.Sprintf("goals:\n- {id: G7, title: %s, description: %[1]s, status: active, target: 2027-01-01}\n"+
				"deliverables:\n- {id: D9, goal: G1, title: fine, owner: %[1]s, status: done, due: 2027-01-01, links: [{title: %[1]s, url: 'https://example.com'}]}\n", text)
			for format, c := range map[string]struct {
				text string
				want []string
			}{
				"csv":  {sheet.String(), []string{`deliverable "D1": title: `, `deliverable "D8": acceptance[1]: `, `deliverable "D9": owner: `, `deliverable "D8": due: "soon"`}},
				"yaml": {agreement, []string{`goal "G7": title: `, "description: ", `deliverable "D9": owner: `, "links[0].title: "}},
			} {
				for _, dryRun := range []bool{true, false} {
					_, refused := use(t, session, "import", map[string]any{"format": format, "text": c.text, "dry_run": dryRun})
					plaintexttest.AssertPlain(t, refused)
					for _, want := range c.want {
						assert.Contains(t, refused, want, format)
					}
					assert.GreaterOrEqual(t, strings.Count(refused, attack.Named), 3, refused)
				}
			}
		})
	}
	assert.Equal(t, before, stored(t, base), "nothing was written")
}

func TestAnImportThatCannotBeReadNamesTheLineWithAControlCharacter(t *testing.T) {
	p, _ := inDir(t)
	_, refused := use(t, served(t, p, guard.Admin), "import", map[string]any{"format": "yaml", "text": "goals:\n- {id: G1, title: \"a\x1b[2J\"}\n"})
	assert.Contains(t, refused, "text: line 2: U+001B (escape) is not allowed: remove it")
	plaintexttest.AssertPlain(t, refused)
}

func TestTextThatPeopleWriteIsStoredAsItIs(t *testing.T) {
	p, _ := inDir(t)
	session := served(t, p, guard.Admin)
	const note = "First line\n\tindented 👩🏽\u200d🚀 ❤\ufe0f\r\nمی\u200cخواهم שלום"
	_, refused := use(t, session, "add_note", map[string]any{"id": "G1", "text": note})
	require.Empty(t, refused)
	out, refused := use(t, session, "propose_deliverable", map[string]any{"goal": "G1", "title": "می\u200cخواهم 👩\u200d👩\u200d👧", "due": "2027-01-01", "acceptance": []string{strings.ReplaceAll(note, "\r", "")}}) // CSV has one kind of line break
	require.Empty(t, refused)
	title := out["deliverable"].(map[string]any)["title"]
	assert.Equal(t, "می\u200cخواهم 👩\u200d👩\u200d👧", title)
	goal, err := view(t, p, manager).Goal("G1")
	require.NoError(t, err)
	assert.Equal(t, note, goal.Notes[0].Text)
	for _, format := range []string{"yaml", "csv"} {
		text, err := p.Export(t.Context(), manager, format, "")
		require.NoError(t, err)
		again, err := p.Import(t.Context(), admin, format, text, true, nil)
		require.NoError(t, err)
		assert.Empty(t, again.Replaced)
	}
}

// What an older server has stored is shown, with what was hidden in it, and stays as it is.
func TestWhatWasStoredBeforeIsShownInPlainText(t *testing.T) {
	for _, attack := range plaintexttest.InUTF8() {
		t.Run(attack.Name, func(t *testing.T) {
			p, base := inDir(t)
			dir := filepath.Join(base, "clients", "acme")
			text := inYAML(t, attack.Text)
			log := fmt.Sprintf("notes: [{author: %s, at: 2026-01-01T00:00:00Z, text: %[1]s}]\nhistory: [{id: a, at: 2026-01-01T00:00:00Z, by: %[1]s, what: %[1]s}]\n", text)
			for name, content := range map[string]string{
				"goals/G8.yaml":        fmt.Sprintf("client: acme\nid: G8\ntitle: %s\ndescription: %[1]s\nstatus: active\ntarget: 2027-01-01\nlinks: [{title: %[1]s, url: 'https://example.com'}]\n", text) + log,
				"deliverables/D8.yaml": fmt.Sprintf("client: acme\nid: D8\ngoal: G8\ntitle: %s\nowner: %[1]s\nstatus: planned\ndue: 2026-11-20\nacceptance: [%[1]s]\n", text) + log,
				"goals/G9.yaml":        fmt.Sprintf("client: acme\nid: G9\n%s: 1\n", text),
			} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
			}
			session := served(t, p, guard.Admin)
			for _, c := range []need{
				{"list_goals", 0, nil}, {"get_goal", 0, map[string]any{"id": "G8"}}, {"list_deliverables", 0, nil}, {"get_deliverable", 0, map[string]any{"id": "D8"}},
				{"search", 0, map[string]any{"words": "D8"}}, {"progress_summary", 0, nil}, {"due_or_blocked", 0, nil},
				{"export", 0, map[string]any{"format": "yaml"}}, {"export", 0, map[string]any{"format": "csv"}},
			} {
				out, failed := use(t, session, c.tool, c.arguments)
				require.Empty(t, failed)
				strs := stringsIn(out)
				plaintexttest.AssertPlain(t, strs)
				shown := strs
				if c.arguments["format"] == "yaml" {
					shown = strings.ReplaceAll(strs, `\\`, `\`) // where YAML has quotes
				}
				assert.Contains(t, shown, attack.Shown, c.tool)
			}
			for _, uri := range []string{"portal://goals", "portal://deliverables", "portal://goals/G8", "portal://deliverables/D8"} {
				result, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
				require.NoError(t, err)
				plaintexttest.AssertPlain(t, result.Contents[0].Text)
			}
			result, err := session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "weekly_status"})
			require.NoError(t, err)
			plaintexttest.AssertPlain(t, result.Messages[0].Content.(*mcp.TextContent).Text)

			changed, err := p.SetDeliverableStatus(t.Context(), manager, "D8", "in_review", "")
			require.NoError(t, err)
			plaintexttest.AssertPlain(t, changed.Title+changed.Notes[0].Text)
			_, failed := use(t, session, "update_status", map[string]any{"id": "D8", "status": "done", "note": "fine"})
			require.Empty(t, failed, "older text is in nobody's way")
			_, failed = use(t, session, "add_note", map[string]any{"id": "G8", "text": "fine"})
			require.Empty(t, failed)
			for _, name := range []string{"goals/G8.yaml", "deliverables/D8.yaml"} {
				assert.Equal(t, attack.Text, storedTitle(t, filepath.Join(dir, name)), "and is not lost")
			}

			text, err = p.Export(t.Context(), admin, "yaml", "G8")
			require.NoError(t, err)
			_, err = p.Import(t.Context(), admin, "yaml", text, false, nil)
			require.NoError(t, err, "an export can be imported, with what was hidden made visible")
			plaintexttest.AssertPlain(t, storedTitle(t, filepath.Join(dir, "goals/G8.yaml")))
		})
	}
}

func storedTitle(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var document struct{ Title string }
	require.NoError(t, yaml.Unmarshal(content, &document))
	return document.Title
}

// stringsIn has all strings of a result, a line each.
func stringsIn(value any) string {
	var all strings.Builder
	switch v := value.(type) {
	case string:
		return v + "\n"
	case []any:
		for _, element := range v {
			all.WriteString(stringsIn(element))
		}
	case map[string]any:
		for name, element := range v {
			all.WriteString(name + "\n" + stringsIn(element))
		}
	}
	return all.String()
}
