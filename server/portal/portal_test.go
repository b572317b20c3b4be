package portal_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/portal"
	"github.com/berth-mcp/berth/server/store"
	"github.com/berth-mcp/berth/server/store/storetest"
)

var (
	viewer      = reader("vera", guard.Viewer)
	contributor = reader("cora", guard.Contributor, "web")
	manager     = reader("mara", guard.Manager)
	admin       = reader("ada", guard.Admin)
)

const issuer = "https://login.example.com"

// reader is somebody at example.com, of the only issuer.
func reader(name string, role guard.Role, groups ...string) portal.Reader {
	return portal.Reader{ID: issuer + "#sub-of-" + name, Email: name + "@example.com", ClaimsByEmail: true, Groups: groups, Role: role}
}

const agreed = `
goals:
  - {id: G1, title: Open, status: active, target: 2027-03-01}
  - {id: G2, title: Secret, description: the merger, status: active, target: 2027-02-01, confidential: true}
deliverables:
  - {id: D1, goal: G1, title: Public work, owner: web, status: in_progress, due: 2026-12-01, depends_on: [D2, D3]}
  - {id: D2, goal: G2, title: Secret work, owner: web, status: planned, due: 2026-11-01}
  - {id: D3, goal: G1, title: Other work, owner: bob@example.com, status: blocked, due: 2027-01-01}
`

func clock() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func open(t testing.TB, s store.Store, client string) *portal.Portal {
	t.Helper()
	p, err := portal.New(portal.Options{Client: client, Store: s, Logger: slog.New(slog.DiscardHandler), Now: clock})
	require.NoError(t, err)
	return p
}

// inDir is a portal in a directory, with the agreement above.
func inDir(t testing.TB) (*portal.Portal, string) {
	t.Helper()
	base := t.TempDir()
	p := open(t, openDir(t, base), "acme")
	_, err := p.Import(t.Context(), admin, "yaml", agreed, false, nil)
	require.NoError(t, err)
	return p, base
}

func openDir(t testing.TB, base string) store.Store {
	t.Helper()
	s, err := store.Open(base, "acme", "")
	require.NoError(t, err)
	return s
}

func view(t testing.TB, p *portal.Portal, r portal.Reader) portal.View {
	t.Helper()
	v, err := p.View(t.Context(), r)
	require.NoError(t, err)
	return v
}

func ids(v portal.View) (all []string) {
	for _, g := range v.Goals {
		all = append(all, g.ID)
	}
	for _, d := range v.Deliverables {
		all = append(all, d.ID)
	}
	return all
}

func TestEveryClientThatComesWithTheServerHasSoundData(t *testing.T) {
	found, err := fs.Glob(os.DirFS("."), "data/clients/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, found)
	for _, file := range append(found, "north-wind-2.yaml") {
		client := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(client, func(t *testing.T) {
			p := open(t, nil, client)
			v := view(t, p, manager)
			assert.NotEmpty(t, v.Goals)
			assert.NotEmpty(t, v.Deliverables)
			assert.Empty(t, v.Unreadable)
			assert.True(t, p.ReadOnly())
			err := p.AddNote(t.Context(), manager, v.Goals[0].ID, "hello", false)
			assert.ErrorIs(t, err, store.ErrReadOnly)
		})
	}
	assert.Equal(t, "North Wind 2", open(t, nil, "north-wind-2").Title())
}

func TestANameThatNoClientCanHaveIsRefused(t *testing.T) {
	for _, name := range []string{"", "Acme", "1acme", "acme-", "-acme", "acme_x", "../acme", "clients/acme", "acme.yaml", "äcme", "acme\n", strings.Repeat("a", 50)} {
		_, err := portal.New(portal.Options{Client: name, Logger: slog.New(slog.DiscardHandler)})
		assert.ErrorContains(t, err, "is no client's name", name)
	}
}

func TestWhatIsConfidentialIsForManagers(t *testing.T) {
	p, _ := inDir(t)
	assert.Equal(t, []string{"G2", "G1", "D2", "D1", "D3"}, ids(view(t, p, manager)), "in the order of their dates")
	for _, reader := range []portal.Reader{viewer, contributor} {
		v := view(t, p, reader)
		assert.Equal(t, []string{"G1", "D1", "D3"}, ids(v))
		d1, err := v.Deliverable("D1")
		require.NoError(t, err)
		assert.Equal(t, []string{"D3"}, d1.DependsOn, "not even the id of hidden work")
		_, err = v.Goal("G2")
		assert.EqualError(t, err, `there is no goal "G2"; the goals are G1`)

		assert.ErrorContains(t, p.AddNote(t.Context(), reader, "G2", "I know", false), "there is no goal and no deliverable")
		_, err = p.SetDeliverableStatus(t.Context(), reader, "D2", "done", "")
		assert.ErrorContains(t, err, `there is no deliverable "D2"`)
		_, err = p.Propose(t.Context(), reader, portal.Deliverable{Goal: "G2", Title: "x", Due: "2027-01-01"})
		assert.ErrorContains(t, err, "there is no goal")
		_, err = p.Propose(t.Context(), reader, portal.Deliverable{Goal: "G1", Title: "x", Due: "2027-01-01", DependsOn: []string{"D2"}})
		assert.ErrorContains(t, err, "depends_on[0]: there is no deliverable")
	}
}

func TestAGoalThatIsNotThereIsAnsweredWithThoseThatAre(t *testing.T) {
	_, err := portal.View{}.Goal("G9")
	assert.EqualError(t, err, `there is no goal "G9"; there is none yet`)
	var many portal.View
	for n := range 31 {
		many.Goals = append(many.Goals, portal.Goal{ID: fmt.Sprint("G", n)})
	}
	_, err = many.Goal(strings.Repeat("x", 1000))
	require.ErrorContains(t, err, "list_goals lists them")
	assert.Less(t, len(err.Error()), 200)
}

func TestWorkWhoseGoalCannotBeReadIsForManagers(t *testing.T) {
	p, base := inDir(t)
	g2 := filepath.Join(base, "clients", "acme", "goals", "G2.yaml")
	for name, spoil := range map[string]func() error{
		"spoilt": func() error { return os.WriteFile(g2, []byte("client: acme\nconfidential: yes, very\n"), 0o600) },
		"gone":   func() error { return os.Remove(g2) },
	} {
		require.NoError(t, spoil())
		assert.Equal(t, []string{"G1", "D2", "D1", "D3"}, ids(view(t, p, manager)), name)
		for _, reader := range []portal.Reader{viewer, contributor} {
			v := view(t, p, reader)
			assert.Equal(t, []string{"G1", "D1", "D3"}, ids(v), name)
			d1, err := v.Deliverable("D1")
			require.NoError(t, err)
			assert.Equal(t, []string{"D3"}, d1.DependsOn, name)
		}
	}
}

func TestAPrivateNoteIsItsAuthorsAlone(t *testing.T) {
	p, _ := inDir(t)
	require.NoError(t, p.AddNote(t.Context(), contributor, "D1", "mine", true))
	require.NoError(t, p.AddNote(t.Context(), contributor, "D1", "everyone's", false))
	for reader, want := range map[*portal.Reader]int{&contributor: 2, &viewer: 1, &manager: 1, &admin: 1} {
		d, err := view(t, p, *reader).Deliverable("D1")
		require.NoError(t, err)
		assert.Len(t, d.Notes, want, reader.Email)
		assert.Len(t, d.History, want+1, "its being there at all is private too")
	}
}

func TestWhoMaySetAStatus(t *testing.T) {
	for _, c := range []struct {
		name    string
		reader  portal.Reader
		id      string
		refused string
	}{
		{"their team's", contributor, "D1", ""},
		{"another's", contributor, "D3", "is bob@example.com's: only they and managers"},
		{"their own", reader("Bob", guard.Contributor), "D3", ""},
		{"any, as a manager", manager, "D3", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _ := inDir(t)
			d, err := p.SetDeliverableStatus(t.Context(), c.reader, c.id, "in_review", "")
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			assert.EqualValues(t, "in_review", d.Status)
			last := d.History[len(d.History)-1]
			assert.Equal(t, c.reader.Email, last.By)
			assert.Regexp(t, "^status: [a-z_]+ → in_review$", last.What, "what it was stays known")
			assert.Equal(t, clock(), last.At)
		})
	}
	p, _ := inDir(t)
	_, err := p.SetGoalStatus(t.Context(), contributor, "G1", "reached", "")
	assert.ErrorContains(t, err, "only a manager")
	_, err = p.SetGoalStatus(t.Context(), manager, "G1", "reached", "")
	assert.NoError(t, err)
	_, err = p.SetGoalStatus(t.Context(), manager, "G1", "nearly", "")
	assert.ErrorContains(t, err, `status: "nearly": use one of`)
}

func TestAStatusAndItsReasonAreOneChange(t *testing.T) {
	p, _ := inDir(t)
	set := func(status portal.DeliverableStatus, note string) portal.Deliverable {
		d, err := p.SetDeliverableStatus(t.Context(), manager, "D1", status, note)
		require.NoError(t, err)
		return d
	}
	before := len(set("in_progress", "").History)
	assert.Equal(t, 1, before, "it is so already, since the import")
	d := set("blocked", "the supplier is silent")
	require.Len(t, d.History, before+1)
	assert.Equal(t, "status: in_progress → blocked", d.History[before].What)
	require.Len(t, d.Notes, 1)
	assert.Equal(t, portal.Note{Author: manager.Email, AuthorID: manager.ID, At: clock(), Text: "the supplier is silent"}, d.Notes[0])
	d = set("blocked", "still")
	require.Len(t, d.History, before+2)
	assert.Equal(t, "note", d.History[before+1].What)
	_, err := p.SetDeliverableStatus(t.Context(), manager, "D1", "done", strings.Repeat("x", 4001))
	require.ErrorContains(t, err, "notes[2].text")
	d, err = view(t, p, manager).Deliverable("D1")
	require.NoError(t, err)
	assert.EqualValues(t, "blocked", d.Status, "both or neither")

	g, err := p.SetGoalStatus(t.Context(), manager, "G1", "reached", "at last")
	require.NoError(t, err)
	assert.Equal(t, "status: active → reached", g.History[len(g.History)-1].What)
	assert.Len(t, g.Notes, 1)
}

func TestAnItemTakesSoManyNotes(t *testing.T) {
	p, base := inDir(t)
	var text strings.Builder
	text.WriteString("client: acme\nid: G1\ntitle: x\nstatus: active\ntarget: 2027-03-01\nnotes:\n")
	for range 500 {
		text.WriteString("  - {author: mara@example.com, at: 2026-11-21T12:00:00Z, text: x}\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(base, "clients", "acme", "goals", "G1.yaml"), []byte(text.String()), 0o600))
	g, err := view(t, p, viewer).Goal("G1")
	require.NoError(t, err)
	assert.Len(t, g.Notes, 500)
	require.ErrorContains(t, p.AddNote(t.Context(), manager, "G1", "one more", false), `notes: "501": it has 500, which is the most: write on another item`)
}

func TestAProposalWaitsForAManager(t *testing.T) {
	p, _ := inDir(t)
	d, err := p.Propose(t.Context(), contributor, portal.Deliverable{Goal: "G1", Title: "A map", Due: "2027-02-01", Status: "done", Owner: "somebody else"})
	require.NoError(t, err)
	assert.EqualValues(t, "proposed", d.Status)
	assert.Equal(t, contributor.Email, d.Owner)
	_, err = p.SetDeliverableStatus(t.Context(), contributor, d.ID, "planned", "")
	assert.ErrorContains(t, err, "a manager accepts it")
	_, err = p.SetDeliverableStatus(t.Context(), manager, d.ID, "planned", "")
	require.NoError(t, err)
	_, err = p.SetDeliverableStatus(t.Context(), contributor, d.ID, "in_progress", "")
	require.NoError(t, err)

	_, err = p.Propose(t.Context(), contributor, portal.Deliverable{Goal: "G1", Title: " ", Due: "soon", Links: []portal.Link{{Title: "x", URL: "javascript:alert(1)"}}})
	for _, want := range []string{`title: " ": it is required`, `due: "soon": write a date`, `links[0].url: "javascript:alert(1)": write an https URL`} {
		assert.ErrorContains(t, err, want)
	}
}

func TestAProposalWhoseAnswerGotLostIsThereOnce(t *testing.T) {
	_, base := inDir(t)
	p := open(t, &lossy{Store: openDir(t, base), lose: 1}, "acme")
	proposed, err := p.Propose(t.Context(), contributor, portal.Deliverable{Goal: "G1", Title: "New", Due: "2027-05-01"})
	require.NoError(t, err)
	assert.Equal(t, []string{"G2", "G1", "D2", "D1", "D3", proposed.ID}, ids(view(t, p, manager)))
	require.NoError(t, p.AddNote(t.Context(), contributor, "D1", "once", false))

	p = open(t, &lossy{Store: openDir(t, base), lose: 1}, "acme")
	require.NoError(t, p.AddNote(t.Context(), contributor, "D1", "twice", false))
	d1, err := view(t, p, manager).Deliverable("D1")
	require.NoError(t, err)
	assert.Len(t, d1.Notes, 2)
}

// lossy loses the answers of its first writes, as a bucket's client that tries
// again and finds the document there.
type lossy struct {
	store.Store
	lose int
}

func (l *lossy) Write(ctx context.Context, name string, data []byte, replaced store.Version) (store.Version, error) {
	version, err := l.Store.Write(ctx, name, data, replaced)
	if l.lose--; err == nil && l.lose >= 0 {
		return "", store.ErrConflict
	}
	return version, err
}

func TestTwoInstancesLoseNoNote(t *testing.T) {
	const notes = 15
	for name, openStore := range map[string]func(t *testing.T) func() store.Store{
		"in a directory": func(t *testing.T) func() store.Store {
			base := t.TempDir()
			return func() store.Store { return openDir(t, base) }
		},
		"in a bucket": func(t *testing.T) func() store.Store {
			endpoint := storetest.NewBucket(t, "acme-data")
			return func() store.Store {
				s, err := store.Open("gs://acme-data", "acme", endpoint)
				require.NoError(t, err)
				return s
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			next := openStore(t)
			one, other := open(t, next(), "acme"), open(t, next(), "acme")
			_, err := one.Import(t.Context(), admin, "yaml", agreed, false, nil)
			require.NoError(t, err)
			var wg sync.WaitGroup
			for _, p := range []*portal.Portal{one, other} {
				for _, reader := range []portal.Reader{contributor, manager} {
					wg.Go(func() {
						for n := range notes {
							assert.NoError(t, p.AddNote(t.Context(), reader, "D1", fmt.Sprint(n), false))
						}
					})
				}
			}
			wg.Wait()
			d, err := view(t, one, manager).Deliverable("D1")
			require.NoError(t, err)
			assert.Len(t, d.Notes, 4*notes)
			assert.Len(t, d.History, 4*notes+1, "and the import")
			seen := map[string]bool{}
			for _, change := range d.History {
				assert.False(t, seen[change.ID], "no change was made twice")
				seen[change.ID] = true
			}
		})
	}
}
