package pulumicli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type notes struct {
	mu    sync.Mutex
	said  []string
	heard chan struct{}
}

func (n *notes) Note(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, s)
	if n.heard != nil {
		close(n.heard)
	}
}

func (n *notes) Compiled(int, int) {}

// clone makes a directory that looks like Berth's and pins some Pulumi.
func clone(t *testing.T, mod string) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "tools"), 0o755))
	for name, content := range map[string]string{"tools/go.mod": mod, "tools/go.sum": "", "Pulumi.yaml": "name: berth\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
	}
	return root
}

// command puts an executable that answers "version" where Find looks.
func command(t *testing.T, path, version string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho "+version+"\n"), 0o755))
}

func TestACommandOnPathIsTakenIfItIsNewEnough(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(CacheVar, t.TempDir())
	root := clone(t, "module tools\n")
	built, err := home(root)
	require.NoError(t, err)
	command(t, filepath.Join(built, "bin", "pulumi"), "v3.250.0")

	command(t, filepath.Join(bin, "pulumi"), "v3.260.0")
	found, err := Find(t.Context(), root, &notes{})
	require.NoError(t, err)
	assert.Equal(t, "3.260.0", found.Version().String())

	for _, old := range []string{"v2.1.0", "v3.10.0"} {
		command(t, filepath.Join(bin, "pulumi"), old)
		found, err = Find(t.Context(), root, &notes{})
		require.NoError(t, err)
		assert.Equal(t, "3.250.0", found.Version().String(), "%s is passed over", old)
	}
}

func TestAnotherPinIsAnotherCommand(t *testing.T) {
	t.Setenv(CacheVar, t.TempDir())
	a, err := home(clone(t, "module tools // 1\n"))
	require.NoError(t, err)
	b, err := home(clone(t, "module tools // 2\n"))
	require.NoError(t, err)
	assert.NotEqual(t, a, b)
}

func TestAFailedBuildSaysWhatGoSaid(t *testing.T) {
	t.Setenv("PATH", pathWithoutPulumi(t))
	t.Setenv(CacheVar, t.TempDir())
	t.Setenv("GOPROXY", "off")
	_, err := Find(t.Context(), clone(t, "module tools\n\ngo 1.26\n"), &notes{})
	require.ErrorContains(t, err, "tools/go.mod")
	require.ErrorContains(t, err, "not a known dependency")
}

func TestWaitingForAnotherProcessIsSaidAndCanBeInterrupted(t *testing.T) {
	t.Setenv("PATH", pathWithoutPulumi(t))
	t.Setenv(CacheVar, t.TempDir())
	root := clone(t, "module tools\n")
	dir, err := home(root)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	unlock, err := lockedfile.MutexAt(filepath.Join(dir, "lock")).Lock()
	require.NoError(t, err)
	defer unlock()

	ctx, cancel := context.WithCancel(t.Context())
	n := &notes{heard: make(chan struct{})}
	failed := make(chan error, 1)
	go func() {
		_, err := Find(ctx, root, n)
		failed <- err
	}()
	select {
	case <-n.heard:
	case <-time.After(time.Minute):
		t.Fatal("nothing was said while waiting")
	}
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	assert.Contains(t, n.said[0], "Another process")
}

func TestTheCloneIsFoundFromWithinAndMissedOutside(t *testing.T) {
	root := clone(t, "module tools\n")
	t.Chdir(filepath.Join(root, "tools"))
	found, err := Root()
	require.NoError(t, err)
	want, err := filepath.EvalSymlinks(root)
	require.NoError(t, err)
	got, err := filepath.EvalSymlinks(found)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	t.Chdir(t.TempDir())
	_, err = Root()
	require.ErrorContains(t, err, "clone of Berth")
}

// pathWithoutPulumi is a PATH with Go on it and no pulumi.
func pathWithoutPulumi(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	gobin, err := exec.LookPath("go")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(gobin, filepath.Join(bin, "go")))
	return bin
}
