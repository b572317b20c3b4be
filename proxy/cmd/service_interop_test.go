//go:build interop && linux

package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInteropSystemdTakesTheUnit(t *testing.T) {
	home := t.TempDir()
	unit, errs, code := manage(t, build(t), home, []string{"HTTPS_PROXY=http://proxy.example/?a=100%"}, "service", "print", "--log-level=debug")
	require.Zero(t, code, errs)
	file := filepath.Join(home, "berth-proxy.service")
	require.NoError(t, os.WriteFile(file, []byte(unit), 0o600))
	verify := exec.Command("systemd-analyze", "verify", "--user", "--man=no", file)
	verify.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+home)
	out, err := verify.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Empty(t, string(out), "it has nothing to say against the unit")
}
