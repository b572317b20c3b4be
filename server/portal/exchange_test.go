package portal_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/portal"
)

func TestWhatIsExportedCanBeImported(t *testing.T) {
	p, _ := inDir(t)
	require.NoError(t, p.AddNote(t.Context(), manager, "G1", "a note", false))
	for _, format := range []string{"yaml", "csv"} {
		t.Run(format, func(t *testing.T) {
			out, err := p.Export(t.Context(), manager, format, "")
			require.NoError(t, err)
			again, err := p.Import(t.Context(), admin, format, out, false, nil)
			require.NoError(t, err)
			assert.Empty(t, again.Added)
			assert.Empty(t, again.Replaced, "nothing is another than it was")
		})
	}
	g1, err := view(t, p, manager).Goal("G1")
	require.NoError(t, err)
	assert.Len(t, g1.Notes, 1, "notes stay")
}

func TestASpreadsheetLosesNothing(t *testing.T) {
	p, _ := inDir(t)
	const text = `deliverables:
- id: D1
  goal: G1
  title: "'=1+1"
  owner: web
  status: in_progress
  due: 2026-12-01
  depends_on: [D2, D3]
  acceptance: ["first; then second", 'C:\dir\;', 'ends in \']
  links: [{title: Brief, url: "https://example.com/brief"}]
`
	_, err := p.Import(t.Context(), admin, "yaml", text, false, nil)
	require.NoError(t, err)
	before, err := view(t, p, manager).Deliverable("D1")
	require.NoError(t, err)
	out, err := p.Export(t.Context(), manager, "csv", "")
	require.NoError(t, err)
	again, err := p.Import(t.Context(), admin, "csv", out, false, nil)
	require.NoError(t, err)
	assert.Empty(t, again.Replaced, "nothing is another than it was")

	_, err = p.Import(t.Context(), admin, "csv", strings.Replace(out, "in_progress", "done", 1), false, nil)
	require.NoError(t, err)
	after, err := view(t, p, manager).Deliverable("D1")
	require.NoError(t, err)
	assert.EqualValues(t, "done", after.Status)
	assert.Equal(t, before.Links, after.Links, "which CSV has no column for")
	assert.Equal(t, before.Acceptance, after.Acceptance)
	assert.Equal(t, before.Title, after.Title)
}

func TestAnExportHoldsWhatOneMaySee(t *testing.T) {
	p, _ := inDir(t)
	for _, format := range []string{"yaml", "csv"} {
		out, err := p.Export(t.Context(), viewer, format, "")
		require.NoError(t, err)
		assert.Contains(t, out, "Public work")
		assert.NotContains(t, out, "Secret")
		assert.NotRegexp(t, `\bD2\b`, out) // an id of the history may hold these letters
	}
}

func TestAnExportMayBeOfOneGoal(t *testing.T) {
	p, _ := inDir(t)
	out, err := p.Export(t.Context(), manager, "yaml", "G2")
	require.NoError(t, err)
	assert.Contains(t, out, "Secret work")
	assert.NotContains(t, out, "Public work")
	again, err := p.Import(t.Context(), admin, "yaml", out, false, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"G2", "D2"}, again.Unchanged)
	_, err = p.Export(t.Context(), viewer, "yaml", "G2")
	require.EqualError(t, err, `goal: there is no goal "G2"; the goals are G1`)
}

func TestTheHistoryNamesWhatAnImportHasReplaced(t *testing.T) {
	p, _ := inDir(t)
	_, err := p.Import(t.Context(), admin, "yaml", "goals: [{id: G1, title: Renamed, status: active, target: 2027-04-01, confidential: true}]", false, nil)
	require.NoError(t, err)
	g1, err := view(t, p, manager).Goal("G1")
	require.NoError(t, err)
	require.Len(t, g1.History, 2)
	assert.Equal(t, "imported", g1.History[0].What)
	assert.Equal(t, "imported: confidential, target, title", g1.History[1].What)
}

func TestAnImportIsAllOrNothing(t *testing.T) {
	p, _ := inDir(t)
	before := ids(view(t, p, manager))
	for name, c := range map[string]struct {
		format, text string
		want         []string
	}{
		"wrong items": {"yaml", "goals:\n- {id: G9, title: '', status: lost, target: soon}\n- {id: G10, title: Fine, status: active, target: 2027-01-01}\n- {id: G10, title: Fine, status: active, target: 2027-01-01}\ndeliverables:\n- {id: D9, goal: G77, title: x, status: done, due: 2027-01-01, depends_on: [D9, D77]}\n",
			[]string{`goal "G9": title: "": it is required; status: "lost"`, `goal "G10": id: it is there twice`, `deliverable "D9": goal: "G77": there is no such goal`, `depends_on[0]: "D9": use the id of another`, `depends_on[1]: "D77": there is no such`}},
		"the id of another kind": {"yaml", "goals:\n- {id: D1, title: x, status: active, target: 2027-01-01}\n",
			[]string{`"D1": id: a goal and a deliverable have it`}},
		"a circle": {"yaml", "deliverables:\n- {id: D7, goal: G1, title: x, status: planned, due: 2027-01-01, depends_on: [D8]}\n- {id: D8, goal: G1, title: x, status: planned, due: 2027-01-01, depends_on: [D9]}\n- {id: D9, goal: G1, title: x, status: planned, due: 2027-01-01, depends_on: [D8, D3]}\n",
			[]string{`deliverable "D8": depends_on: it would wait for itself: D8 → D9 → D8: take one of these out`}},
		"a circle with what is there": {"yaml", "deliverables:\n- {id: D3, goal: G1, title: x, status: planned, due: 2027-01-01, depends_on: [D4]}\n- {id: D4, goal: G1, title: x, status: planned, due: 2027-01-01, depends_on: [D1]}\n",
			[]string{`deliverable "D3": depends_on: it would wait for itself: D3 → D4 → D1 → D3`}},
		"a circle in a spreadsheet": {"csv", "id,goal,title,owner,status,due,depends_on,acceptance\nD2,G2,x,,planned,2027-01-01,D1,\n",
			[]string{`D2 → D1 → D2`}},
		"an unknown field":   {"yaml", "goals:\n- {id: G9, titel: x}\n", []string{"titel"}},
		"two documents":      {"yaml", "goals: []\n---\ngoals: []\n", []string{"text: it goes on after its first YAML document"}},
		"not YAML":           {"yaml", "{{", []string{"text: yaml"}},
		"another header":     {"csv", "id,title\nD9,x\n", []string{"the first line is to be id,goal,title"}},
		"a row too short":    {"csv", "id,goal,title,owner,status,due,depends_on,acceptance\nD9,G1\n", []string{"wrong number of fields"}},
		"a format of theirs": {"json", "{}", []string{`format: "json": use yaml or csv`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.Import(t.Context(), admin, c.format, c.text, false, nil)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			assert.Equal(t, before, ids(view(t, p, manager)))
		})
	}
}

func TestACircleThatAnImportOpensIsGone(t *testing.T) {
	p, base := inDir(t)
	// As an edit by hand may leave it.
	require.NoError(t, os.WriteFile(filepath.Join(base, "clients", "acme", "deliverables", "D3.yaml"),
		[]byte("client: acme\nid: D3\ngoal: G1\ntitle: x\nstatus: planned\ndue: 2027-01-01\ndepends_on: [D1]\n"), 0o600))
	d1, err := view(t, p, manager).Deliverable("D1")
	require.NoError(t, err, "the rest is served")
	assert.Equal(t, []string{"D2", "D3"}, d1.DependsOn)
	out, err := p.Export(t.Context(), manager, "yaml", "")
	require.NoError(t, err)
	_, err = p.Import(t.Context(), admin, "yaml", out, false, nil)
	require.ErrorContains(t, err, "D1 → D3 → D1")
	_, err = p.Import(t.Context(), admin, "yaml", strings.Replace(out, "      - D3\n", "", 1), false, nil)
	require.NoError(t, err)
}

func TestManyCirclesAreToldBriefly(t *testing.T) {
	p, _ := inDir(t)
	var text strings.Builder
	text.WriteString("deliverables:\n")
	const n = 300
	for i := range n { // each waits for the next two: circles upon circles
		fmt.Fprintf(&text, "- {id: X%d, goal: G1, title: x, status: planned, due: 2027-01-01, depends_on: [X%d, X%d]}\n", i, (i+1)%n, (i+2)%n)
	}
	_, err := p.Import(t.Context(), admin, "yaml", text.String(), true, nil)
	require.ErrorContains(t, err, "X0 → X1 → X2")
	assert.ErrorContains(t, err, "… (280 more) → X0")
	assert.Less(t, len(err.Error()), 5000)
}

func TestADryRunChangesNothing(t *testing.T) {
	p, _ := inDir(t)
	var steps []int
	out, err := p.Import(t.Context(), admin, "yaml", `
goals:
  - {id: G1, title: Renamed, status: active, target: 2027-03-01}
  - {id: G3, title: New, status: active, target: 2027-03-01}
  - {id: G2, title: Secret, description: the merger, status: active, target: 2027-02-01, confidential: true}
`, true, func(done, all int) { steps = append(steps, done*10+all) })
	require.NoError(t, err)
	assert.Equal(t, []string{"G3"}, out.Added)
	assert.Equal(t, []string{"G1"}, out.Replaced)
	assert.Equal(t, []string{"G2"}, out.Unchanged)
	assert.Equal(t, []int{13, 23, 33}, steps)
	g1, err := view(t, p, manager).Goal("G1")
	require.NoError(t, err)
	assert.Equal(t, "Open", g1.Title)
}

func TestASpreadsheetRunsNothingThatSomebodyWrote(t *testing.T) {
	p, _ := inDir(t)
	const title = `=HYPERLINK("https://evil.example")`
	_, err := p.Propose(t.Context(), contributor, portal.Deliverable{Goal: "G1", Title: title, Due: "2027-01-01"})
	require.NoError(t, err)
	out, err := p.Export(t.Context(), manager, "csv", "")
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	for _, row := range rows {
		for _, cell := range row {
			assert.NotRegexp(t, `^[=+\-@]`, cell)
		}
	}
	again, err := p.Import(t.Context(), admin, "csv", out, false, nil)
	require.NoError(t, err)
	assert.Empty(t, again.Replaced, "and the title is what it was")
}

func FuzzImport(f *testing.F) {
	p := open(f, openDir(f, f.TempDir()), "acme")
	f.Add("yaml", agreed)
	f.Add("csv", "id,goal,title,owner,status,due,depends_on,acceptance\nD9,G1,x,y,done,2027-01-01,D1; D2,z\n")
	f.Fuzz(func(t *testing.T, format, text string) {
		_, err := p.Import(t.Context(), admin, format, text, true, nil)
		if err == nil && format != "yaml" && format != "csv" {
			t.Errorf("format %q was taken", format)
		}
	})
}
