//go:build interop

package conformance

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/nodejs"
)

const (
	suitePackage = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
	suiteTimeout = 3 * time.Minute // a run takes two seconds; under load, ten
)

// Suite is the installed suite.
type Suite struct{ node, script string }

// Check is one check of one scenario.
type Check struct {
	Scenario, ID, Name string
	Status             string // SUCCESS, FAILURE, SKIPPED, …
	// Why it did not pass; it may name ports and times.
	Error string
}

// String is the check and how it ended, which is the same for each run.
func (c Check) String() string {
	return fmt.Sprintf("%s: %s (%s) %s", c.Scenario, c.ID, c.Name, c.Status)
}

// Install installs the suite for a test.
func Install(t *testing.T) Suite {
	t.Helper()
	n := nodejs.Install(t, suitePackage)
	return Suite{node: n.Binary, script: n.Script("conformance")}
}

var stamp = regexp.MustCompile(`-\d{4}-\d\d-\d\dT[0-9-]+Z$`)

// Run puts a server to everything that a protocol revision requires, and gives all
// checks, in order.
func (s Suite) Run(t *testing.T, url, revision string) []Check {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.node, s.script, "server", "--url", url, "--requirements", revision, "--output-dir", dir).CombinedOutput()
	var failed *exec.ExitError // some checks did not pass, which is for the caller to judge
	require.True(t, err == nil || errors.As(err, &failed), "%v: %s", err, out)
	require.NoError(t, ctx.Err(), "the suite hangs: %s", out)

	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "%s", out)
	var checks []Check
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var found []struct{ ID, Name, Status, ErrorMessage string }
		require.NoError(t, json.Unmarshal(content, &found))
		scenario := stamp.ReplaceAllString(filepath.Base(filepath.Dir(file)), "")
		for _, c := range found {
			checks = append(checks, Check{scenario, c.ID, c.Name, c.Status, c.ErrorMessage})
		}
	}
	slices.SortFunc(checks, func(a, b Check) int { return cmp.Compare(a.String(), b.String()) })
	return checks
}

// Lines is what can be compared of a run.
func Lines(checks []Check) []string {
	lines := make([]string, len(checks))
	for i, c := range checks {
		lines[i] = c.String()
	}
	return lines
}
