//go:build interop

package toolchain

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type object = map[string]any

// database writes a database of vulnerabilities as https://go.dev/doc/security/vuln/database
// describes it, with one in a function of the standard library's package os, or none.
// It returns the database's URL.
func database(t *testing.T, function string) string {
	t.Helper()
	const id, modified = "GO-2026-99999", "2026-01-01T00:00:00Z"
	modules, vulns := []any{}, []any{}
	dir := t.TempDir()
	if function != "" {
		modules = []any{object{"path": "stdlib", "vulns": []any{object{"id": id, "modified": modified}}}}
		vulns = []any{object{"id": id, "modified": modified}}
		writeJSON(t, filepath.Join(dir, "ID", id+".json"), object{
			"schema_version": "1.3.1", "id": id, "modified": modified, "published": modified, "details": "An example.",
			"affected": []any{object{
				"package":            object{"name": "stdlib", "ecosystem": "Go"},
				"ranges":             []any{object{"type": "SEMVER", "events": []any{object{"introduced": "0"}}}},
				"ecosystem_specific": object{"imports": []any{object{"path": "os", "symbols": []any{function}}}},
			}},
			"database_specific": object{"url": "https://pkg.go.dev/vuln/" + id},
		})
	}
	writeJSON(t, filepath.Join(dir, "index", "db.json"), object{"modified": modified})
	writeJSON(t, filepath.Join(dir, "index", "modules.json"), modules)
	writeJSON(t, filepath.Join(dir, "index", "vulns.json"), vulns)
	return "file://" + filepath.ToSlash(dir)
}

func writeJSON(t *testing.T, path string, content any) {
	t.Helper()
	encoded, err := json.Marshal(content)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, encoded, 0o644))
}

// vulncheck runs .ci/vulncheck for this package, and returns what it prints and its
// exit code.
func vulncheck(t *testing.T, database string) (string, int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(root, ".ci", "vulncheck"), "./internal/toolchain")
	cmd.Env = append(os.Environ(), "GOVULNDB="+database)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// notRun is the exit code of a check that was not made.
const notRun = 75

func TestInteropVulncheck_FailsOnAVulnerabilityThatIsCalled(t *testing.T) {
	out, code := vulncheck(t, database(t, "ReadFile")) // which Directive calls
	assert.NotContains(t, []int{0, notRun}, code, out)
	assert.Contains(t, out, "GO-2026-99999")
}

func TestInteropVulncheck_PassesWithoutOne(t *testing.T) {
	for _, function := range []string{"", "Symlink"} {
		out, code := vulncheck(t, database(t, function))
		assert.Zero(t, code, out)
		assert.NotContains(t, out, "not run")
	}
}

func TestInteropVulncheck_WithoutADatabaseSaysThatItWasNotRun(t *testing.T) {
	for _, unreachable := range []string{"http://127.0.0.1:1", "file://" + filepath.ToSlash(t.TempDir())} {
		out, code := vulncheck(t, unreachable)
		assert.Equal(t, notRun, code, out)
		assert.Contains(t, out, "govulncheck: not run: no database ("+unreachable)
	}
}

func TestInteropVulncheck_FailsIfItDoesNotWork(t *testing.T) {
	broken := t.TempDir()
	writeJSON(t, filepath.Join(broken, "index", "db.json"), "a page that asks for a login")
	for _, database := range []string{"file://" + filepath.ToSlash(broken), "gopher-db://vuln.go.dev"} {
		out, code := vulncheck(t, database)
		assert.NotContains(t, []int{0, notRun}, code, out)
		assert.NotContains(t, out, "not run")
	}
}
