package portal_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/portal"
	"github.com/berth-mcp/berth/server/store"
	"github.com/berth-mcp/berth/server/store/storetest"
)

func TestFilesThatCannotBeUsedAreNamedAndTheRestIsServed(t *testing.T) {
	var log bytes.Buffer
	_, base := inDir(t)
	p, err := portal.New(portal.Options{Client: "acme", Store: openDir(t, base), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	dir := filepath.Join(base, "clients", "acme")
	for name, c := range map[string]struct{ content, want string }{
		"goals/bad-field.yaml":    {"client: acme\nid: bad-field\ntitel: x\n", "field titel not found"},
		"goals/bad-status.yaml":   {"client: acme\nid: bad-status\ntitle: x\nstatus: lost\ntarget: soon\n", `status: "lost": use one of [planned active reached dropped]; target: "soon"`},
		"goals/foreign.yaml":      {"client: globex\nid: foreign\ntitle: x\nstatus: active\ntarget: 2027-01-01\n", `client: "globex": it is another client's`},
		"goals/of-nobody.yaml":    {"id: of-nobody\ntitle: x\nstatus: active\ntarget: 2027-01-01\n", `client: "": it is another client's`},
		"goals/other-name.yaml":   {"client: acme\nid: G9\ntitle: x\nstatus: active\ntarget: 2027-01-01\n", "id: the file of this id is goals/G9.yaml"},
		"goals/empty.yaml":        {"", "it is empty"},
		"goals/not-yaml.yaml":     {"{{{", "yaml:"},
		"elsewhere/x.yaml":        {"client: acme\n", "neither below goals/ nor below deliverables/"},
		"deliverables/types.yaml": {"client: acme\nid: [1]\n", "cannot unmarshal"},
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(c.content), 0o600))
		v := view(t, p, manager)
		assert.Equal(t, []string{"G2", "G1", "D2", "D1", "D3"}, ids(v))
		found := strings.Join(v.Unreadable, "\n")
		assert.Contains(t, found, name+": ")
		assert.Contains(t, found, c.want)
		assert.Contains(t, log.String(), name)
		assert.Empty(t, view(t, p, contributor).Unreadable, "it is the managers' to mend")
	}
}

func TestWhatIsNoDocumentIsNamedAndTheRestIsServed(t *testing.T) {
	p, base := inDir(t)
	goals := filepath.Join(base, "clients", "acme", "goals")
	require.NoError(t, os.WriteFile(filepath.Join(goals, "huge.yaml"), make([]byte, store.MaxDocument+1), 0o600))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(goals, "link.yaml")))
	for range 2 { // read, and remembered
		v := view(t, p, manager)
		assert.Equal(t, []string{"G2", "G1", "D2", "D1", "D3"}, ids(v))
		require.Len(t, v.Unreadable, 2)
		assert.Contains(t, v.Unreadable[0], "goals/huge.yaml: it cannot be used as a document: it has more than 1048576 bytes")
		assert.Contains(t, v.Unreadable[1], "goals/link.yaml: it cannot be used as a document: it is a link that leads to nothing in")
	}
	require.NoError(t, p.Ready(t.Context()))
	require.NoError(t, os.WriteFile(filepath.Join(goals, "huge.yaml"), []byte("client: acme\nid: huge\ntitle: x\nstatus: active\ntarget: 2027-03-02\n"), 0o600))
	assert.Equal(t, []string{"G2", "G1", "huge", "D2", "D1", "D3"}, ids(view(t, p, manager)), "as soon as it is mended")
}

func TestABucketsObjectThatIsTooLargeIsNamedAndTheRestIsServed(t *testing.T) {
	endpoint := storetest.NewBucket(t, "acme-data")
	s, err := store.Open("gs://acme-data", "acme", endpoint)
	require.NoError(t, err)
	p := open(t, s, "acme")
	_, err = p.Import(t.Context(), admin, "yaml", agreed, false, nil)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		strings.Replace(endpoint, "/storage/", "/upload/storage/", 1)+"b/acme-data/o?uploadType=media&name=clients/acme/goals/huge.yaml", bytes.NewReader(make([]byte, store.MaxDocument+1)))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+storetest.AccessToken)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	v := view(t, p, manager)
	assert.Equal(t, []string{"G2", "G1", "D2", "D1", "D3"}, ids(v))
	assert.Equal(t, []string{"goals/huge.yaml: it cannot be used as a document: it has more than 1048576 bytes"}, v.Unreadable)
}

func TestOthersChangesAreSeen(t *testing.T) {
	p, base := inDir(t)
	other := open(t, openDir(t, base), "acme")
	require.Len(t, view(t, p, manager).Deliverables, 3)
	_, err := other.Propose(t.Context(), contributor, portal.Deliverable{Goal: "G1", Title: "New", Due: "2027-05-01"})
	require.NoError(t, err)
	_, err = other.SetDeliverableStatus(t.Context(), manager, "D3", "done", "")
	require.NoError(t, err)
	v := view(t, p, manager)
	require.Len(t, v.Deliverables, 4)
	d3, err := v.Deliverable("D3")
	require.NoError(t, err)
	assert.EqualValues(t, "done", d3.Status)
	require.NoError(t, os.Remove(filepath.Join(base, "clients", "acme", "deliverables", "D3.yaml")))
	assert.Len(t, view(t, p, manager).Deliverables, 3)
}

func TestDocumentsAreReadSeveralAtATime(t *testing.T) {
	_, base := inDir(t)
	s := &meeting{Store: openDir(t, base), wanted: 5, met: make(chan struct{})}
	assert.Len(t, ids(view(t, open(t, s, "acme"), manager)), 5)
}

// meeting lets nobody read until so many want to.
type meeting struct {
	store.Store
	mu     sync.Mutex
	wanted int
	met    chan struct{}
}

func (m *meeting) Read(ctx context.Context, name string) ([]byte, store.Version, error) {
	m.mu.Lock()
	if m.wanted--; m.wanted == 0 {
		close(m.met)
	}
	m.mu.Unlock()
	select {
	case <-m.met:
		return m.Store.Read(ctx, name)
	case <-time.After(time.Minute):
		return nil, "", fmt.Errorf("nobody else wants to read")
	}
}

func TestAStoreThatCannotBeReachedIsNotAnEmptyPortal(t *testing.T) {
	p := open(t, broken{}, "acme")
	_, err := p.View(t.Context(), manager)
	require.ErrorContains(t, err, "cannot be reached for now")
	require.Error(t, p.Ready(t.Context()))
}

type broken struct{ store.Store }

func (broken) List(context.Context) ([]store.Entry, error) {
	return nil, fmt.Errorf("no route to host")
}
func (broken) String() string { return "nowhere" }

func FuzzStoredFiles(f *testing.F) {
	for _, folder := range []string{"goals", "deliverables"} {
		f.Add(folder, "client: acme\nid: X\ntitle: x\nstatus: active\ntarget: 2027-01-01\n")
		f.Add(folder, "client: acme\nid: X\ngoal: G1\ntitle: x\nstatus: done\ndue: 2027-01-01\nnotes: [{author: a, text: b}]\n")
	}
	base := f.TempDir()
	p := open(f, openDir(f, base), "acme")
	f.Fuzz(func(t *testing.T, folder, content string) {
		if folder != "goals" && folder != "deliverables" {
			return
		}
		dir := filepath.Join(base, "clients", "acme", folder)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "X.yaml"), []byte(content), 0o600))
		v, err := p.View(t.Context(), manager)
		require.NoError(t, err)
		for _, goal := range v.Goals {
			assert.Contains(t, portal.GoalStatuses, goal.Status, "what is served is sound")
		}
	})
}
