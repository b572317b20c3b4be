package filestate_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/filestate"
)

func TestAChangeOfAnyKindShows(t *testing.T) {
	moment := time.Now().Add(-time.Hour)
	write := func(t *testing.T, path, content string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.NoError(t, os.Chtimes(path, moment, moment))
	}
	for name, change := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
		"longer":  func(t *testing.T, path string) { write(t, path, "longer than before") },
		"newer":   func(t *testing.T, path string) { require.NoError(t, os.Chtimes(path, moment, time.Now())) },
		"open to others": func(t *testing.T, path string) {
			require.NoError(t, os.Chmod(path, 0o444)) // the one change of a mode that Windows has, too
		},
		"another of the same size and time": func(t *testing.T, path string) {
			write(t, path+".new", "after!")
			require.NoError(t, os.Rename(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			none := filestate.Of(path)
			assert.True(t, none.Same(filestate.State{}))
			write(t, path, "before")
			before := filestate.Of(path)
			assert.True(t, before.Same(filestate.Of(path)))
			assert.False(t, before.Same(none))
			assert.False(t, none.Same(before))
			change(t, path)
			assert.False(t, before.Same(filestate.Of(path)))
		})
	}
}
