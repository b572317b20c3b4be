//go:build unix

package watchdog

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what ought to happen at once.
const patience = time.Minute

// TestMain makes this binary its own subject: a parent that is killed hard.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WATCHDOG_TEST_DIR"); dir != "" {
		parent(dir)
		return
	}
	os.Exit(m.Run())
}

// parent starts two children, has them watched, prints their ids and waits.
func parent(dir string) {
	w, err := New(dir)
	if err != nil {
		panic(err)
	}
	for range 2 {
		child := exec.Command("/bin/sh", "-c", "sleep 600 & wait")
		child.SysProcAttr = OwnGroup()
		if err := child.Start(); err != nil {
			panic(err)
		}
		if err := w.Watch(child.Process.Pid); err != nil {
			panic(err)
		}
		fmt.Println(child.Process.Pid)
	}
	fmt.Println("ready")
	if os.Getenv("WATCHDOG_TEST_DISMISS") != "" {
		w.Dismiss()
		fmt.Println("dismissed")
	}
	select {}
}

// start runs a parent until it has printed the word, and gives its children.
func start(t *testing.T, dir, until string, env ...string) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "WATCHDOG_TEST_DIR="+dir), env...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var said strings.Builder
	chunk := make([]byte, 256)
	for !strings.Contains(said.String(), until) {
		n, err := stdout.Read(chunk)
		require.NoError(t, err)
		said.Write(chunk[:n])
	}
	var children []int
	for _, line := range strings.Fields(said.String()) {
		if pid, err := strconv.Atoi(line); err == nil {
			children = append(children, pid)
			t.Cleanup(func() { _ = syscall.Kill(-pid, syscall.SIGKILL) })
		}
	}
	require.Len(t, children, 2)
	return cmd, children
}

func groupLives(leader int) bool { return syscall.Kill(-leader, 0) == nil }

func TestAHardKilledParentLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "own")
	require.NoError(t, os.Mkdir(dir, 0o700))
	cmd, children := start(t, dir, "ready")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	for _, child := range children {
		assert.Eventually(t, func() bool { return !groupLives(child) }, patience, 10*time.Millisecond)
	}
	assert.Eventually(t, func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) }, patience, 10*time.Millisecond)
}

func TestADismissedWatchdogLeavesEverythingAlone(t *testing.T) {
	dir := t.TempDir()
	cmd, children := start(t, dir, "dismissed", "WATCHDOG_TEST_DISMISS=1")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()

	for _, child := range children {
		assert.True(t, groupLives(child))
	}
	assert.DirExists(t, dir)
}
