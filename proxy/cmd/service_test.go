package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
)

// manage runs a program on a home of its own.
func manage(t *testing.T, program, home string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := command(t, program, append([]string{"HOME=" + home, "LOCALAPPDATA=" + home, "USERPROFILE=" + home}, env...), args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run() // the exit code tells
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

func TestAServiceIsInstalledAndRemoved(t *testing.T) {
	home := t.TempDir()
	env := []string{"HTTPS_PROXY=http://proxy.example:3128", "BERTH_PROXY_LOG_FORMAT=json"}
	printed, errs, code := manage(t, build(t), home, env, "service", "print", "--port=4040", "--ca-file=ca.pem")
	if assert.Equal(t, exitUsage, code) {
		assert.Contains(t, errs, "--ca-file: open ca.pem", "what could not be served is not installed")
		assert.Empty(t, printed)
	}
	printed, errs, code = manage(t, build(t), home, env, "service", "print", "--port=4040", "--path-secret", "--impersonate-service-account=a@p.example,b@p.example")
	require.Zero(t, code, errs)
	out, errs, code := manage(t, build(t), home, env, "service", "install", "--port=4040", "--path-secret", "--impersonate-service-account=a@p.example,b@p.example")
	require.Zero(t, code, errs)
	_, rest, found := strings.Cut(out, "wrote ")
	require.True(t, found, out)
	file, _, _ := strings.Cut(rest, ";")
	assert.True(t, strings.HasPrefix(file, home), file)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, printed, string(content))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
		for _, word := range []string{build(t), "serve", "--port", "4040", "--path-secret=true", "a@p.example,b@p.example", "--log-format", "json", "http://proxy.example:3128"} {
			assert.Contains(t, printed, word)
		}
	}

	out, errs, code = manage(t, build(t), home, env, "service", "uninstall")
	require.Zero(t, code, errs)
	assert.Contains(t, out, "removed "+file)
	assert.NoFileExists(t, file)
	out, _, code = manage(t, build(t), home, env, "service", "uninstall")
	assert.Zero(t, code)
	assert.Contains(t, out, "nothing was to be done")
}

func TestATokenIsNotWrittenIntoAService(t *testing.T) {
	home := t.TempDir()
	out, errs, code := manage(t, build(t), home, []string{token.GivenVariable + "=a-secret-token"}, "service", "install")
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "give --token-file")
	assert.NotContains(t, errs, "a-secret-token")
	left, err := filepath.Glob(filepath.Join(home, "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestAProgramThatWillBeGoneIsNoService(t *testing.T) {
	home := t.TempDir()
	_, errs, code := manage(t, asOfGoRun(t), home, nil, "service", "install")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "this berth-proxy is one of `go run`")
	left, err := filepath.Glob(filepath.Join(home, "*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}
