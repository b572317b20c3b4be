package main

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var copied = regexp.MustCompile(`(?m)^COPY (\S+) \./\S+$`)

// The build with Docker sees only what the Dockerfile copies and .dockerignore leaves in.
func TestDockerfile_CopiesEveryPackageOfTheServer(t *testing.T) {
	const module = "github.com/berth-mcp/berth/"
	list := exec.Command("go", "list", "-deps", ".")
	list.Stderr = os.Stderr
	packages, err := list.Output()
	require.NoError(t, err)
	dockerfile, err := os.ReadFile("../Dockerfile")
	require.NoError(t, err)
	ignore, err := os.ReadFile("../.dockerignore")
	require.NoError(t, err)

	found := 0
	for line := range strings.Lines(string(packages)) {
		dir, ours := strings.CutPrefix(strings.TrimSpace(line), module)
		if !ours {
			continue
		}
		found++
		in := false
		for _, source := range copied.FindAllStringSubmatch(string(dockerfile), -1) {
			in = in || strings.HasPrefix(dir+"/", source[1]+"/")
		}
		assert.True(t, in, "the Dockerfile does not copy %s", dir)
		assert.False(t, ignored(string(ignore), dir), ".dockerignore leaves %s out", dir)
	}
	assert.Greater(t, found, 5, "the packages of the server")
}

// ignored reports whether the last pattern that fits a directory, or one above it, leaves
// it out.
func ignored(patterns, dir string) (out bool) {
	for pattern := range strings.Lines(patterns) {
		pattern, in := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		for above := dir; above != "."; above = path.Dir(above) {
			if fits, err := path.Match(pattern, above); err == nil && fits {
				out = !in
			}
		}
	}
	return out
}
