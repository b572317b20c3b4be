//go:build unix

package ownfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/ownfile"
)

func refused(t *testing.T, path string) string {
	t.Helper()
	_, err := kind.Read(path)
	var unsafe *ownfile.UnsafeError
	require.ErrorAs(t, err, &unsafe)
	require.ErrorAs(t, kind.Check(path), &unsafe)
	return err.Error()
}

func TestRead_RefusesAFileThatOthersMayWrite(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), "content")
	for _, mode := range []os.FileMode{0o602, 0o620, 0o666} {
		require.NoError(t, os.Chmod(file, mode))
		assert.Contains(t, refused(t, file), "run `chmod 600 "+file+"`")
	}
	require.NoError(t, os.Chmod(file, 0o600))
	_, err := kind.Read(file)
	require.NoError(t, err, "the command that the error names is enough")
}

func TestRead_RefusesADirectoryThatOthersMayWrite(t *testing.T) {
	for _, below := range []string{"", "a", "a/b"} {
		open := t.TempDir()
		dir := filepath.Join(open, below)
		require.NoError(t, os.MkdirAll(dir, 0o700))
		file := write(t, filepath.Join(dir, "file"), "content")
		require.NoError(t, os.Chmod(open, 0o777))
		assert.Contains(t, refused(t, file), "run `chmod go-w "+open+"`")

		require.NoError(t, os.Chmod(open, 0o777|os.ModeSticky))
		_, err := kind.Read(file)
		require.NoError(t, err, "others cannot take away what is not theirs")
	}
}

// The directory of the file itself is good.
func TestRead_RefusesALinkThatOthersMayReplace(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "file"), "content")
	for name, target := range map[string]string{"a link to the file": file, "a link to its directory": filepath.Dir(file)} {
		t.Run(name, func(t *testing.T) {
			open := t.TempDir()
			link := filepath.Join(open, "link")
			require.NoError(t, os.Symlink(target, link))
			path := link
			if target != file {
				path = filepath.Join(link, "file")
			}
			_, err := kind.Read(path)
			require.NoError(t, err, "links are followed")
			require.NoError(t, os.Chmod(open, 0o777))
			assert.Contains(t, refused(t, path), "run `chmod go-w "+open+"`")

			second := filepath.Join(t.TempDir(), "second")
			require.NoError(t, os.Symlink(path, second))
			assert.Contains(t, refused(t, second), "run `chmod go-w "+open+"`", "by way of a good link, too")
		})
	}
}

func TestRead_FollowsLinksAsTheSystemDoes(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "far", "away"), 0o700))
	write(t, filepath.Join(dir, "far", "file"), "far")
	write(t, filepath.Join(dir, "file"), "near")
	require.NoError(t, os.Symlink("far/away", filepath.Join(dir, "link")))
	content, err := kind.Read(dir + "/link/../file")
	require.NoError(t, err)
	assert.Equal(t, "far", string(content))

	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	_, err = kind.Read(filepath.Join(dir, "loop"))
	require.ErrorIs(t, err, syscall.ELOOP)
	_, err = kind.Read(filepath.Join(dir, "file", "below"))
	require.ErrorIs(t, err, syscall.ENOTDIR)
}

func TestRead_DoesNotWaitForAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := kind.Read(pipe)
	assert.EqualError(t, err, pipe+" is not a regular file, as a test must be")
}

// Only root can give a file away; what everybody else sees of it, TestCheckFile and
// TestCheckWay have.
func TestRead_RefusesWhatBelongsToAnotherUser(t *testing.T) {
	const other = 65533
	file := write(t, filepath.Join(t.TempDir(), "file"), "content")
	err := os.Chown(file, other, -1)
	if os.Geteuid() != 0 {
		require.ErrorIs(t, err, os.ErrPermission)
		return
	}
	require.NoError(t, err)
	assert.Contains(t, refused(t, file), "belongs to user 65533, who could have your token sent to them: run `chown 0 "+file+"`")

	require.NoError(t, os.Chown(file, 0, -1))
	_, err = kind.Read(file)
	require.NoError(t, err)
	dir := filepath.Dir(file)
	require.NoError(t, os.Chown(dir, other, -1))
	assert.Contains(t, refused(t, file), "can be replaced by user 65533, who owns the directory "+dir)
}
