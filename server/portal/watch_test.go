package portal_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/portal"
)

// caller is whom the portal knows as the reader.
func caller(r portal.Reader) identity.Caller {
	issuer, subject, _ := strings.Cut(r.ID, "#")
	return identity.Caller{Issuer: issuer, Subject: subject, Email: r.Email, ClaimsByEmail: r.ClaimsByEmail, Groups: r.Groups, Mode: identity.ModeOIDC}
}

// by is a context in which the reader asks.
func by(t *testing.T, r portal.Reader) context.Context {
	t.Helper()
	return guard.NewContext(identity.NewContext(t.Context(), caller(r)), r.Role)
}

func version(t *testing.T, p *portal.Portal, r portal.Reader, uri string) string {
	t.Helper()
	v, err := p.Version(by(t, r), uri)
	require.NoError(t, err)
	return v
}

func TestWhatOthersChangeAfterASubscriptionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, base := inDir(t)
		other := open(t, openDir(t, base), "acme")
		var mu sync.Mutex
		known := map[string]string{} // the subscriptions, as the endpoint keeps them
		var told []string
		p.Changed = func(_ context.Context, uri string) {
			mu.Lock()
			defer mu.Unlock()
			if before, subscribed := known[uri]; subscribed {
				if now := version(t, p, viewer, uri); now != before {
					known[uri] = now
					told = append(told, uri)
				}
			}
		}
		var watched atomic.Bool
		go p.Watch(t.Context(), watched.Load)
		news := func() []string {
			mu.Lock()
			defer mu.Unlock()
			defer func() { told = nil }()
			return told
		}
		look := func() []string { // the clock is the test's own
			time.Sleep(10 * time.Second)
			synctest.Wait()
			return news()
		}
		change := func(note string) {
			require.NoError(t, other.AddNote(t.Context(), manager, "G1", note, false))
		}

		change("before anybody subscribed")
		assert.Empty(t, look())
		watched.Store(true)
		for _, uri := range []string{"portal://goals/G1", "portal://goals", "portal://deliverables/D1", "portal://deliverables"} {
			now := version(t, p, viewer, uri)
			mu.Lock()
			known[uri] = now
			mu.Unlock()
		}
		change("before the first look")
		assert.Equal(t, []string{"portal://goals/G1"}, look())
		assert.Empty(t, look(), "once")
		change("later")
		assert.Equal(t, []string{"portal://goals/G1"}, look(), "a list has no notes")
		_, err := p.SetDeliverableStatus(t.Context(), manager, "D1", "done", "")
		require.NoError(t, err)
		assert.Equal(t, []string{"portal://deliverables/D1", "portal://deliverables"}, news(), "at once")
		look()
		assert.Empty(t, look(), "and not again when it is found")
		require.NoError(t, other.AddNote(t.Context(), manager, "D2", "hidden", false))
		assert.Empty(t, look(), "what one does not see is no news")
		watched.Store(false)
		assert.Empty(t, look())
		change("when nobody wants to know")
		assert.Empty(t, look())
	})
}

func TestAVersionIsAnotherWhenWhatTheReaderSeesIs(t *testing.T) {
	const g1, goals, deliverables = "portal://goals/G1", "portal://goals", "portal://deliverables"
	note := func(r portal.Reader, id string, private bool) func(*testing.T, *portal.Portal) error {
		return func(t *testing.T, p *portal.Portal) error { return p.AddNote(t.Context(), r, id, "x", private) }
	}
	for name, c := range map[string]struct {
		change  func(*testing.T, *portal.Portal) error
		changed map[string][]portal.Reader // the others' stay
	}{
		"a note":         {note(manager, "G1", false), map[string][]portal.Reader{g1: {viewer, contributor, manager}}},
		"a private note": {note(contributor, "G1", true), map[string][]portal.Reader{g1: {contributor}}},
		"a goal reached": {func(t *testing.T, p *portal.Portal) error {
			_, err := p.SetGoalStatus(t.Context(), manager, "G1", "reached", "")
			return err
		}, map[string][]portal.Reader{g1: {viewer, contributor, manager}, goals: {viewer, contributor, manager}}},
		"confidential work": {func(t *testing.T, p *portal.Portal) error {
			_, err := p.SetDeliverableStatus(t.Context(), manager, "D2", "done", "")
			return err
		}, map[string][]portal.Reader{deliverables: {manager}}},
		"a new secret goal": {func(t *testing.T, p *portal.Portal) error {
			_, err := p.Import(t.Context(), admin, "yaml", "goals: [{id: G3, title: x, status: active, target: 2027-01-01, confidential: true}]", false, nil)
			return err
		}, map[string][]portal.Reader{goals: {manager}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := inDir(t)
			before := map[string]string{}
			each := func(do func(uri string, r portal.Reader)) {
				for _, uri := range []string{g1, goals, deliverables} {
					for _, r := range []portal.Reader{viewer, contributor, manager} {
						do(uri, r)
					}
				}
			}
			each(func(uri string, r portal.Reader) { before[uri+r.Email] = version(t, p, r, uri) })
			require.NoError(t, c.change(t, p))
			each(func(uri string, r portal.Reader) {
				want := false
				for _, one := range c.changed[uri] {
					want = want || one.Email == r.Email
				}
				assert.Equal(t, want, version(t, p, r, uri) != before[uri+r.Email], "%s for %s", uri, r.Email)
			})
		})
	}
}

func TestWhatOneDoesNotSeeHasNoVersion(t *testing.T) {
	p, _ := inDir(t)
	for uri, sees := range map[string][2]bool{ // the viewer, the manager
		"portal://goals/G1":        {true, true},
		"portal://goals/G2":        {false, true},
		"portal://deliverables/D2": {false, true},
		"portal://goals/G9":        {false, false},
		"portal://goals/":          {false, false},
		"elsewhere://goals":        {false, false},
	} {
		assert.Equal(t, sees[0], version(t, p, viewer, uri) != "", uri)
		assert.Equal(t, sees[1], version(t, p, manager, uri) != "", uri)
	}
	_, err := p.Version(t.Context(), "portal://goals")
	require.ErrorContains(t, err, "not known")
	hide := "goals: [{id: G1, title: Open, status: active, target: 2027-03-01, confidential: true}]"
	_, err = p.Import(t.Context(), admin, "yaml", hide, false, nil)
	require.NoError(t, err)
	assert.Empty(t, version(t, p, viewer, "portal://goals/G1"), "no longer")
}
