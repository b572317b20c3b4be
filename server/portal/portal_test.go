package portal

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func open(t *testing.T, client string) *Portal {
	t.Helper()
	p, err := Open(client)
	require.NoError(t, err)
	return p
}

func TestEveryClientInTheDataOpens(t *testing.T) {
	found, err := fs.Glob(files, "data/clients/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, file := range found {
		client := strings.TrimSuffix(path.Base(file), ".yaml")
		t.Run(client, func(t *testing.T) {
			p := open(t, client)
			assert.Equal(t, client, p.Client())
			assert.NotEmpty(t, p.Goals(""))
			deliverables, err := p.Deliverables("", "")
			require.NoError(t, err)
			assert.NotEmpty(t, deliverables)
		})
	}
}

func TestAClientWithoutDataGetsTheSampleInItsName(t *testing.T) {
	p := open(t, "north-wind-2")
	assert.Equal(t, "north-wind-2", p.Client())
	assert.Equal(t, "North Wind 2", p.Name())
	assert.Contains(t, p.Instructions(), "North Wind 2 has agreed")
	assert.Len(t, p.Goals(""), 2)
}

func TestANameThatNoClientCanHaveIsRefused(t *testing.T) {
	for _, name := range []string{"", "Acme", "1acme", "acme-", "-acme", "acme_x", "../acme", "clients/acme", "acme.yaml", "äcme", "acme\n", strings.Repeat("a", 50)} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(name)
			require.ErrorContains(t, err, "is no client's name")
		})
	}
}

func TestGoalsAreFilteredAndInTheOrderOfTheirTargets(t *testing.T) {
	ids := func(goals []Goal) []string {
		out := []string{}
		for _, g := range goals {
			out = append(out, g.ID)
		}
		return out
	}
	assert.Equal(t, []string{"G1", "G2", "G3"}, ids(open(t, "acme").Goals("")))
	assert.Equal(t, []string{"G2", "G1"}, ids(open(t, "globex").Goals("")))
	assert.Equal(t, []string{"G2"}, ids(open(t, "globex").Goals("reached")))
	assert.Equal(t, []string{}, ids(open(t, "acme").Goals("dropped")))
	assert.NotNil(t, open(t, "acme").Goals("dropped"), "an empty JSON array, not null")
}

func TestDeliverablesAreFilteredAndInTheOrderOfTheirDueDates(t *testing.T) {
	acme := open(t, "acme")
	for _, c := range []struct {
		name   string
		goal   string
		status DeliverableStatus
		want   []string
	}{
		{"all", "", "", []string{"D1", "D2", "D3", "D4", "D5", "D6"}},
		{"of a goal", "G2", "", []string{"D4", "D5"}},
		{"of a status", "", "in_progress", []string{"D2", "D4"}},
		{"of both", "G1", "in_progress", []string{"D2"}},
		{"none", "G3", "done", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := acme.Deliverables(c.goal, c.status)
			require.NoError(t, err)
			ids := []string{}
			for _, d := range found {
				ids = append(ids, d.ID)
			}
			assert.Equal(t, c.want, ids)
			assert.NotNil(t, found)
		})
	}
	_, err := acme.Deliverables("G9", "")
	assert.EqualError(t, err, `goal: there is no goal "G9"; the goals are G1, G2, G3`)
}

func TestWrongDataIsReportedAllAtOnce(t *testing.T) {
	_, err := parse("acme", []byte(`
goals:
  - {id: G1, title: T, status: active, target: 2027-01-01}
  - {id: G1, title: T, status: lost, target: soon}
deliverables:
  - {id: D1, goal: G7, title: T, status: nearly, due: 2027-13-01, depends_on: [D1, D9]}
`))
	require.Error(t, err)
	for _, want := range []string{
		`goal "G1": id: "G1": give each`,
		`goal "G1": status: "lost": use one of [planned active reached dropped]`,
		`goal "G1": target: "soon": write a date as YYYY-MM-DD`,
		`deliverable "D1": goal: "G7": use one of [G1 G1]`,
		`deliverable "D1": status: "nearly": use one of [planned in_progress blocked in_review done]`,
		`deliverable "D1": due: "2027-13-01"`,
		`deliverable "D1": depends_on: "D1"`,
		`deliverable "D1": depends_on: "D9"`,
	} {
		assert.ErrorContains(t, err, want)
	}
}

func TestAFieldThatNobodyReadsIsAnError(t *testing.T) {
	_, err := parse("acme", []byte("goals:\n  - {id: G1, titel: T}\n"))
	require.ErrorContains(t, err, "titel")
}
