package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/store"
	"github.com/berth-mcp/berth/server/store/storetest"
)

// each runs a test on every kind of store. open opens the documents of a client,
// as another instance of the server would.
func each(t *testing.T, test func(t *testing.T, open func(client string) store.Store)) {
	t.Run("a directory", func(t *testing.T) {
		base := t.TempDir()
		test(t, func(client string) store.Store {
			s, err := store.Open(base, client, "")
			require.NoError(t, err)
			return s
		})
	})
	t.Run("a bucket", func(t *testing.T) {
		endpoint := storetest.NewBucket(t, "acme-data")
		test(t, func(client string) store.Store {
			s, err := store.Open("gs://acme-data", client, endpoint)
			require.NoError(t, err)
			return s
		})
	})
}

func names(t *testing.T, s store.Store) []string {
	t.Helper()
	entries, err := s.List(t.Context())
	require.NoError(t, err)
	list := []string{}
	for _, entry := range entries {
		list = append(list, entry.Name)
	}
	return list
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	each(t, func(t *testing.T, open func(string) store.Store) {
		s := open("acme")
		assert.Empty(t, names(t, s))
		_, _, err := s.Read(t.Context(), "goals/G1.yaml")
		require.ErrorIs(t, err, store.ErrNotExist)

		first, err := s.Write(t.Context(), "goals/G1.yaml", []byte("one"), "")
		require.NoError(t, err)
		data, version, err := open("acme").Read(t.Context(), "goals/G1.yaml")
		require.NoError(t, err)
		assert.Equal(t, "one", string(data))
		assert.Equal(t, first, version)

		second, err := s.Write(t.Context(), "goals/G1.yaml", []byte("two"), first)
		require.NoError(t, err)
		assert.NotEqual(t, first, second)
		entries, err := s.List(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []store.Entry{{Name: "goals/G1.yaml", Version: second}}, entries)
	})
}

func TestAVersionThatIsNotCurrentIsNotReplaced(t *testing.T) {
	each(t, func(t *testing.T, open func(string) store.Store) {
		s := open("acme")
		first, err := s.Write(t.Context(), "goals/G1.yaml", []byte("one"), "")
		require.NoError(t, err)
		_, err = s.Write(t.Context(), "goals/G1.yaml", []byte("again"), "")
		require.ErrorIs(t, err, store.ErrConflict, "it exists")
		_, err = s.Write(t.Context(), "goals/G1.yaml", []byte("two"), first)
		require.NoError(t, err)
		_, err = s.Write(t.Context(), "goals/G1.yaml", []byte("late"), first)
		require.ErrorIs(t, err, store.ErrConflict)
		_, err = s.Write(t.Context(), "goals/G2.yaml", []byte("x"), first)
		require.ErrorIs(t, err, store.ErrConflict, "it does not exist")
		data, _, err := s.Read(t.Context(), "goals/G1.yaml")
		require.NoError(t, err)
		assert.Equal(t, "two", string(data))
	})
}

func TestTwoInstancesLoseNoUpdate(t *testing.T) {
	const writers, each1 = 2, 20
	each(t, func(t *testing.T, open func(string) store.Store) {
		_, err := open("acme").Write(t.Context(), "goals/G1.yaml", nil, "")
		require.NoError(t, err)
		var wg sync.WaitGroup
		for w := range writers {
			s := open("acme")
			wg.Go(func() {
				for n := range each1 {
					assert.NoError(t, addLine(t.Context(), s, fmt.Sprintf("%d-%d", w, n)))
				}
			})
		}
		wg.Wait()
		data, _, err := open("acme").Read(t.Context(), "goals/G1.yaml")
		require.NoError(t, err)
		lines := strings.Fields(string(data))
		assert.Len(t, lines, writers*each1)
		for w := range writers { // each writer's own are in their order
			var own []string
			for _, line := range lines {
				if n, ok := strings.CutPrefix(line, strconv.Itoa(w)+"-"); ok {
					own = append(own, n)
				}
			}
			for n := range own {
				assert.Equal(t, strconv.Itoa(n), own[n])
			}
		}
	})
}

func addLine(ctx context.Context, s store.Store, line string) error {
	for {
		data, version, err := s.Read(ctx, "goals/G1.yaml")
		if err != nil {
			return err
		}
		_, err = s.Write(ctx, "goals/G1.yaml", append(data, line+"\n"...), version)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func TestAClientReachesItsOwnDocumentsAlone(t *testing.T) {
	each(t, func(t *testing.T, open func(string) store.Store) {
		acme, globex := open("acme"), open("globex")
		_, err := globex.Write(t.Context(), "goals/G1.yaml", []byte("globex"), "")
		require.NoError(t, err)
		assert.Empty(t, names(t, acme))
		for _, name := range []string{
			"goals/G1.yaml", "../globex/goals/G1.yaml", "goals/../../globex/goals/G1.yaml", "/clients/globex/goals/G1.yaml",
			"goals/G1.yaml/", "", ".", "goals", "goals/.G1.yaml", "goals/G1.yaml\x00", `goals\G1.yaml`, "goals/a/b.yaml",
		} {
			_, _, err := acme.Read(t.Context(), name)
			assert.Error(t, err, name)
			if name != "goals/G1.yaml" {
				_, err = acme.Write(t.Context(), name, []byte("x"), "")
				assert.Error(t, err, name)
			}
		}
		data, _, err := globex.Read(t.Context(), "goals/G1.yaml")
		require.NoError(t, err)
		assert.Equal(t, "globex", string(data))
	})
}

func TestWhatIsTooLargeIsNeitherWrittenNorRead(t *testing.T) {
	each(t, func(t *testing.T, open func(string) store.Store) {
		_, err := open("acme").Write(t.Context(), "goals/G1.yaml", make([]byte, store.MaxDocument+1), "")
		assert.ErrorContains(t, err, "goals/G1.yaml: it cannot be used as a document: it has more than 1048576 bytes")
		_, err = open("acme").Write(t.Context(), "goals/G1.yaml", make([]byte, store.MaxDocument), "")
		assert.NoError(t, err)
	})
	base := t.TempDir()
	s, err := store.Open(base, "acme", "")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(base, "clients", "acme", "huge.yaml"), make([]byte, store.MaxDocument+1), 0o600))
	_, _, err = s.Read(t.Context(), "huge.yaml")
	require.ErrorIs(t, err, store.ErrUnusable)
	assert.ErrorContains(t, err, "huge.yaml: it cannot be used as a document: it has more than 1048576 bytes")
}

func TestADirectoryDoesNotLeadElsewhere(t *testing.T) {
	base := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	require.NoError(t, os.WriteFile(outside, []byte("secret"), 0o600))
	s, err := store.Open(base, "acme", "")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(outside, filepath.Join(base, "clients", "acme", "link.yaml")))
	_, _, err = s.Read(t.Context(), "link.yaml")
	require.ErrorIs(t, err, store.ErrUnusable)
	_, err = s.Write(t.Context(), "link.yaml", []byte("mine"), "")
	require.Error(t, err)
	content, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "secret", string(content))
}

func TestWhatADeadWriterLeftIsNotADocument(t *testing.T) {
	base := t.TempDir()
	s, err := store.Open(base, "acme", "")
	require.NoError(t, err)
	version, err := s.Write(t.Context(), "goals/G1.yaml", []byte("whole"), "")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(base, "clients", "acme", "goals", ".G1-123"), []byte("ha"), 0o600))
	assert.Equal(t, []string{"goals/G1.yaml"}, names(t, s))
	_, err = s.Write(t.Context(), "goals/G1.yaml", []byte("next"), version)
	assert.NoError(t, err)
}

func TestABucketThatIsNotThereIsNamed(t *testing.T) {
	endpoint := storetest.NewBucket(t, "acme-data")
	s, err := store.Open("gs://other-data", "acme", endpoint)
	require.NoError(t, err)
	_, err = s.List(t.Context())
	assert.ErrorContains(t, err, "gs://other-data/clients/acme/: there is no such bucket")
}
