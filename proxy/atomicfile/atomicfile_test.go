package atomicfile_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/atomicfile"
)

func TestAFileIsMadeAndReplaced(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "settings")
	for _, content := range []string{"the first, which is longer", "the second"} {
		require.NoError(t, atomicfile.Write(file, []byte(content), 0o600))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, content, string(got))
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing else is left there")
	if runtime.GOOS == "windows" {
		return // which has no such permissions
	}
	require.NoError(t, atomicfile.Write(file, nil, 0o640))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
}

func TestALinkStaysALink(t *testing.T) {
	dir := t.TempDir()
	link, real := filepath.Join(dir, "link"), filepath.Join(dir, "elsewhere", "real")
	require.NoError(t, os.Mkdir(filepath.Dir(real), 0o700))
	require.NoError(t, os.WriteFile(real, []byte("old"), 0o600))
	if err := os.Symlink(real, link); err != nil {
		require.Equal(t, "windows", runtime.GOOS, "only Windows may forbid links: %v", err)
		return
	}
	require.NoError(t, atomicfile.Write(link, []byte("new"), 0o600))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink)
	got, err := os.ReadFile(real)
	require.NoError(t, err)
	assert.Equal(t, "new", string(got))
}

func TestAFailureLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	occupied := filepath.Join(dir, "occupied")
	require.NoError(t, os.MkdirAll(filepath.Join(occupied, "child"), 0o700))
	require.Error(t, atomicfile.Write(occupied, []byte("x"), 0o600), "a directory is not replaced")
	require.Error(t, atomicfile.Write(filepath.Join(dir, "missing", "file"), []byte("x"), 0o600))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}
