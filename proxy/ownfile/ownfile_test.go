package ownfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/ownfile"
)

var kind = ownfile.Kind{Name: "a test", Bytes: 2 << 10, Private: true}

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestRead(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), "content")
	content, err := kind.Read(file)
	require.NoError(t, err)
	assert.Equal(t, "content", string(content))
	require.NoError(t, kind.Check(file))

	t.Chdir(filepath.Dir(file))
	content, err = kind.Read("../" + filepath.Base(filepath.Dir(file)) + "/./file")
	require.NoError(t, err)
	assert.Equal(t, "content", string(content))
}

func TestRead_TellsAMissingFile(t *testing.T) {
	for _, missing := range []string{filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "a", "b")} {
		_, err := kind.Read(missing)
		require.ErrorIs(t, err, fs.ErrNotExist)
		var unsafe *ownfile.UnsafeError
		assert.False(t, errors.As(err, &unsafe))
		assert.NoError(t, kind.Check(missing))
	}
}

func TestRead_BoundsAFile(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), strings.Repeat("a", 2<<10))
	_, err := kind.Read(file)
	require.NoError(t, err)
	write(t, file, strings.Repeat("a", 2<<10+1))
	_, err = kind.Read(file)
	assert.EqualError(t, err, file+" is larger than 2 KiB, too large for a test")
}

func TestRead_TakesRegularFilesOnly(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull, filepath.VolumeName(t.TempDir()) + string(filepath.Separator)} {
		_, err := kind.Read(path)
		assert.EqualError(t, err, path+" is not a regular file, as a test must be")
	}
}
