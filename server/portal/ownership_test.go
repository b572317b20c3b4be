package portal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/portal"
	"github.com/berth-mcp/berth/server/store"
	"github.com/berth-mcp/berth/server/store/storetest"
)

// second is somebody else whose address is the first one's.
func second(first portal.Reader) portal.Reader {
	first.ID += "-the-second"
	return first
}

// byEmail is a copy of data that a server of 2788c40 wrote, which kept an author by the
// e-mail address alone. Kim has private notes on D1 and G1, and a proposal; Bob has a
// private note on D1, and owns D3.
func byEmail(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	require.NoError(t, os.CopyFS(base, os.DirFS("testdata/by-email")))
	return base
}

// readable are the texts of the private notes that a reader sees.
func readable(t *testing.T, p *portal.Portal, r portal.Reader) []string {
	t.Helper()
	texts := []string{}
	v := view(t, p, r)
	take := func(notes []portal.Note) {
		for _, note := range notes {
			if note.Private {
				texts = append(texts, note.Text)
			}
		}
	}
	for _, g := range v.Goals {
		take(g.Notes)
	}
	for _, d := range v.Deliverables {
		take(d.Notes)
	}
	return texts
}

var (
	kim = reader("kim", guard.Contributor)
	bob = reader("bob", guard.Contributor)

	kims = []string{"kim's doubts about the goal", "kim's own thoughts"}
)

func TestCaller_WithAnothersAddressReadsNothingOfTheirs(t *testing.T) {
	p, _ := inDir(t)
	require.NoError(t, p.AddNote(t.Context(), kim, "D1", "mine", true))
	proposed, err := p.Propose(t.Context(), kim, portal.Deliverable{Goal: "G1", Title: "A map", Due: "2027-02-01"})
	require.NoError(t, err)
	_, err = p.SetDeliverableStatus(t.Context(), manager, proposed.ID, "planned", "")
	require.NoError(t, err)

	elsewhere := kim
	elsewhere.ID = "https://login.example.net#sub-of-kim"
	nobody := kim
	nobody.ID = ""
	for name, other := range map[string]portal.Reader{"another subject": second(kim), "another issuer": elsewhere, "nobody": nobody} {
		assert.Empty(t, readable(t, p, other), name)
		d, err := view(t, p, other).Deliverable("D1")
		require.NoError(t, err)
		assert.Len(t, d.History, 1, "%s: the import, and not the note's being there", name)
		_, err = p.SetDeliverableStatus(t.Context(), other, proposed.ID, "done", "")
		require.Error(t, err, name)
		assert.NotEqual(t, version(t, p, kim, "portal://deliverables/D1"), version(t, p, other, "portal://deliverables/D1"), name)
	}
	renamed := kim
	renamed.Email = "kim@new.example"
	assert.Equal(t, []string{"mine"}, readable(t, p, renamed), "whatever their address is by now")
	_, err = p.SetDeliverableStatus(t.Context(), renamed, proposed.ID, "in_progress", "")
	assert.NoError(t, err)
}

func TestCaller_WithoutSubjectWritesNothing(t *testing.T) {
	p, _ := inDir(t)
	nobody := manager
	nobody.ID = ""
	const want = "no issuer and subject"
	require.ErrorContains(t, p.AddNote(t.Context(), nobody, "D1", "x", true), want)
	_, err := p.SetDeliverableStatus(t.Context(), nobody, "D1", "done", "")
	require.ErrorContains(t, err, want)
	_, err = p.SetGoalStatus(t.Context(), nobody, "G1", "reached", "")
	require.ErrorContains(t, err, want)
	_, err = p.Propose(t.Context(), nobody, portal.Deliverable{Goal: "G1", Title: "x", Due: "2027-02-01"})
	require.ErrorContains(t, err, want)
	_, err = p.Import(t.Context(), nobody, "yaml", agreed, false, nil)
	require.ErrorContains(t, err, want)
}

func TestClaim_OldNotesAreOfTheFirstWithTheAddress(t *testing.T) {
	base := byEmail(t)
	p := open(t, openDir(t, base), "acme")
	assert.Equal(t, kims, readable(t, p, kim))
	assert.Empty(t, view(t, p, manager).Unreadable)
	assert.Empty(t, readable(t, p, second(kim)))
	assert.Equal(t, kims, readable(t, p, kim), "for good")
	assert.Equal(t, []string{"bob's own thoughts"}, readable(t, p, bob), "and each address by itself")
	assert.Empty(t, readable(t, p, admin))

	restarted := open(t, openDir(t, base), "acme")
	assert.Empty(t, readable(t, restarted, second(kim)), "whoever asks first of a new process")
	assert.Equal(t, kims, readable(t, restarted, kim))

	for _, document := range []string{"goals/G1.yaml", "deliverables/D1.yaml"} {
		before, err := os.ReadFile(filepath.Join("testdata/by-email/clients/acme", document))
		require.NoError(t, err)
		after, err := os.ReadFile(filepath.Join(base, "clients/acme", document))
		require.NoError(t, err)
		assert.Equal(t, string(before), string(after), "reading changes no document")
	}

	require.NoError(t, restarted.AddNote(t.Context(), second(kim), "D1", "the second's", true))
	assert.Equal(t, []string{"the second's"}, readable(t, restarted, second(kim)), "who has the address now has notes of their own")
	assert.Equal(t, kims, readable(t, restarted, kim))
}

func TestClaim_OldDeliverablesAreOfTheFirstWithTheAddress(t *testing.T) {
	p := open(t, openDir(t, byEmail(t)), "acme")
	set := func(r portal.Reader, id string) error {
		_, err := p.SetDeliverableStatus(t.Context(), r, id, "in_review", "")
		return err
	}
	require.NoError(t, set(bob, "D3"), "at the first call, which writes")
	require.ErrorContains(t, set(second(bob), "D3"), "is bob@example.com's: only they and managers")
	kelvin := bob
	kelvin.ID, kelvin.Email = "https://login.example.com#eve", "BOB@EXAMPLE.COM"
	require.ErrorContains(t, set(kelvin, "D3"), "only they and managers", "in other letters as well")
	require.NoError(t, set(bob, "D3"))
}

func TestClaim_IsOfOneOfTwoAtTheSameTime(t *testing.T) {
	for name, openStore := range map[string]func(t *testing.T) func() store.Store{
		"in a directory": func(t *testing.T) func() store.Store {
			base := byEmail(t)
			return func() store.Store { return openDir(t, base) }
		},
		"in a bucket": func(t *testing.T) func() store.Store {
			endpoint := storetest.NewBucket(t, "acme-data")
			next := func() store.Store {
				s, err := store.Open("gs://acme-data", "acme", endpoint)
				require.NoError(t, err)
				return s
			}
			from := openDir(t, byEmail(t))
			entries, err := from.List(t.Context())
			require.NoError(t, err)
			for _, entry := range entries {
				data, _, err := from.Read(t.Context(), entry.Name)
				require.NoError(t, err)
				_, err = next().Write(t.Context(), entry.Name, data, "")
				require.NoError(t, err)
			}
			return next
		},
	} {
		t.Run(name, func(t *testing.T) {
			next := openStore(t)
			both := []portal.Reader{kim, second(kim)}
			// Neither writes before the other has seen that there is no claim.
			var seen, done sync.WaitGroup
			seen.Add(len(both))
			got := make([][]string, len(both))
			for n, r := range both {
				p := open(t, &held{Store: next(), before: func() { seen.Done(); seen.Wait() }}, "acme")
				done.Go(func() { got[n] = readable(t, p, r) })
			}
			done.Wait()
			winner, loser := 0, 1
			if len(got[0]) == 0 {
				winner, loser = 1, 0
			}
			assert.Equal(t, kims, got[winner], "all of it is of one")
			assert.Empty(t, got[loser])
			later := open(t, next(), "acme")
			assert.Empty(t, readable(t, later, both[loser]))
			assert.Equal(t, kims, readable(t, later, both[winner]))
		})
	}
}

// held waits before its first write.
type held struct {
	store.Store
	once   sync.Once
	before func()
}

func (h *held) Write(ctx context.Context, name string, data []byte, replaced store.Version) (store.Version, error) {
	h.once.Do(h.before)
	return h.Store.Write(ctx, name, data, replaced)
}

func TestClaim_WhoseAnswerGotLostIsTheReaders(t *testing.T) {
	p := open(t, &lossy{Store: openDir(t, byEmail(t)), lose: 1}, "acme")
	assert.Equal(t, kims, readable(t, p, kim))
	assert.Empty(t, readable(t, p, second(kim)))
}

func TestClaim_IsNobodysWhereSeveralIssuersMaySpeakForTheAddress(t *testing.T) {
	base := byEmail(t)
	var log bytes.Buffer
	p, err := portal.New(portal.Options{Client: "acme", Store: openDir(t, base), Logger: slog.New(slog.NewJSONHandler(&log, nil)), Now: clock})
	require.NoError(t, err)
	ambiguous := kim
	ambiguous.ClaimsByEmail = false
	for range 2 {
		assert.Empty(t, readable(t, p, ambiguous))
	}
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("oidc.legacy_issuer")), "the operator is told, once")
	assert.Contains(t, log.String(), kim.Email)
	assert.Contains(t, log.String(), "or oidc.legacy_issuer names another", "it may be set already")
	assert.NoDirExists(t, filepath.Join(base, "clients/acme/claims"))
	require.NoError(t, p.AddNote(t.Context(), ambiguous, "D1", "new", true))
	assert.Equal(t, []string{"new"}, readable(t, p, ambiguous), "what is new names them")

	// The operator has named the issuer since: nothing was lost.
	decided := kim
	decided.ID = "https://login.example.net#kim"
	assert.Equal(t, kims, readable(t, p, decided))
	assert.Equal(t, []string{"new"}, readable(t, p, ambiguous))
}

func TestClaim_IsTriedAgainWhenItCouldNotBeWritten(t *testing.T) {
	var log bytes.Buffer
	failing := &failing{Store: openDir(t, byEmail(t)), err: errors.New("the bucket refuses this server's account (403)")}
	p, err := portal.New(portal.Options{Client: "acme", Store: failing, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Now: clock})
	require.NoError(t, err)
	assert.Empty(t, readable(t, p, kim), "what is not claimed could be another's")
	assert.Contains(t, log.String(), "the bucket refuses this server's account")
	failing.err = nil
	assert.Equal(t, kims, readable(t, p, kim))
}

func TestClaim_OfAStoreThatTakesNoChangesIsTheReadersByAddress(t *testing.T) {
	p := open(t, &failing{Store: openDir(t, byEmail(t)), err: store.ErrReadOnly}, "acme")
	assert.Equal(t, kims, readable(t, p, kim))
	ambiguous := kim
	ambiguous.ClaimsByEmail = false
	assert.Empty(t, readable(t, p, ambiguous))
}

// failing fails to write while it has an error.
type failing struct {
	store.Store
	err error
}

func (f *failing) Write(ctx context.Context, name string, data []byte, replaced store.Version) (store.Version, error) {
	if f.err != nil {
		return "", f.err
	}
	return f.Store.Write(ctx, name, data, replaced)
}

func TestClaim_ThatCannotBeUsedGivesNothingAway(t *testing.T) {
	for name, content := range map[string]string{
		"not YAML":         "{",
		"another client's": "client: globex\nemail: kim@example.com\nid: " + kim.ID + "\nat: 2026-11-21T12:00:00Z\n",
		"another address":  "client: acme\nemail: eve@example.com\nid: " + kim.ID + "\nat: 2026-11-21T12:00:00Z\n",
		"no key":           "client: acme\nemail: kim@example.com\nid: kim@example.com\nat: 2026-11-21T12:00:00Z\n",
	} {
		t.Run(name, func(t *testing.T) {
			base := byEmail(t)
			require.Equal(t, kims, readable(t, open(t, openDir(t, base), "acme"), kim))
			claims, err := filepath.Glob(filepath.Join(base, "clients/acme/claims/*.yaml"))
			require.NoError(t, err)
			require.Len(t, claims, 1)
			require.NoError(t, os.WriteFile(claims[0], []byte(content), 0o600))
			p := open(t, openDir(t, base), "acme")
			assert.Empty(t, readable(t, p, kim))
			assert.Empty(t, readable(t, p, second(kim)))
			assert.Len(t, view(t, p, manager).Unreadable, 1)
		})
	}
}

func TestImport_KeepsWhoseADeliverableIs(t *testing.T) {
	p, _ := inDir(t)
	set := func(r portal.Reader) error {
		_, err := p.SetDeliverableStatus(t.Context(), r, "D9", "in_review", "")
		return err
	}
	load := func(text string) {
		t.Helper()
		_, err := p.Import(t.Context(), admin, "yaml", "deliverables: [{id: D9, goal: G1, title: x, status: planned, due: 2027-01-01, "+text+"}]", false, nil)
		require.NoError(t, err)
	}
	load("owner: bob@example.com, owner_id: '" + second(bob).ID + "'")
	require.NoError(t, set(second(bob)), "the address was given to somebody else, whom the owner_id names")
	require.Error(t, set(bob))

	load("owner: bob@example.com") // as an older export has it
	require.NoError(t, set(second(bob)))
	require.Error(t, set(bob))

	exported, err := p.Export(t.Context(), admin, "yaml", "")
	require.NoError(t, err)
	assert.Contains(t, exported, "owner_id: "+second(bob).ID)
	other, _ := inDir(t)
	_, err = other.Import(t.Context(), admin, "yaml", exported, false, nil)
	require.NoError(t, err)
	_, err = other.SetDeliverableStatus(t.Context(), second(bob), "D9", "done", "")
	require.NoError(t, err)
	for _, format := range []string{"yaml", "csv"} {
		forManagers, err := p.Export(t.Context(), manager, format, "")
		require.NoError(t, err)
		assert.NotContains(t, forManagers, "sub-of-", "who somebody is to their issuer is for those who import it")
	}

	load("owner: cora@example.com")
	require.Error(t, set(second(bob)), "another owner, and the id is not theirs")
	require.NoError(t, set(contributor))

	for text, want := range map[string]string{
		"owner: bob@example.com, owner_id: bob@example.com": "owner_id: \"bob@example.com\": write ISSUER#SUBJECT",
		"owner_id: '" + bob.ID + "'":                        "write the owner's address as owner, too",
	} {
		_, err := p.Import(t.Context(), admin, "yaml", "deliverables: [{id: D9, goal: G1, title: x, status: planned, due: 2027-01-01, "+text+"}]", false, nil)
		require.ErrorContains(t, err, want)
	}
}

func TestWhoami_NamesTheSubjectAndWhatIsMissing(t *testing.T) {
	p, _ := inDir(t)
	out, failed := use(t, served(t, p, guard.Viewer), "whoami", nil)
	require.Empty(t, failed)
	assert.Equal(t, issuer+"#sub-of-viewer", out["subject"])
	assert.NotContains(t, out, "notice")

	ambiguous := kim
	ambiguous.ClaimsByEmail = false
	out, failed = use(t, servedAs(t, p, ambiguous), "whoami", nil)
	require.Empty(t, failed)
	assert.Contains(t, out["notice"], "or oidc.legacy_issuer names another", "it may be set already")
}
