package toolchain

import (
	"go/version"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// pins are the forms in which a file of the repository names a version of Go.
var pins = map[string]*regexp.Regexp{
	"go.mod":     regexp.MustCompile(`(?m)^(?:go |toolchain go)(\S+)$`),
	"Dockerfile": regexp.MustCompile(`(?m)^(?:ARG GO_VERSION=|FROM (?:--\S+ )*golang:)(\S+)`),
}

func TestGo_IsOneVersionInAllModulesAndTheDockerfile(t *testing.T) {
	want := strings.TrimPrefix(Directive(filepath.Join(root, "go.mod")), "go")
	assert.Equal(t, Go, "go"+want, "toolchain.Go must be the go directive of go.mod")
	seen := map[string]int{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "dist") {
			return filepath.SkipDir
		}
		form, pinned := pins[entry.Name()]
		if !pinned {
			return nil
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		found := form.FindAllStringSubmatch(string(content), -1)
		assert.NotEmpty(t, found, "%s pins no version of Go", path)
		for _, match := range found {
			assert.Equal(t, want, match[1], path)
			seen[entry.Name()]++
		}
		return nil
	})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, seen["go.mod"], 3, "the product, the tools and the release tools")
	assert.Equal(t, 1, seen["Dockerfile"])
}

func TestGo_HasTheFixesOf1_26_6(t *testing.T) {
	assert.GreaterOrEqual(t, version.Compare(Go, "go1.26.6"), 0, "%s lacks fixes of the standard library", Go)
}

func TestRequired(t *testing.T) {
	gomod := filepath.Join(t.TempDir(), "go.mod")
	assert.Equal(t, Go, Required(gomod), "no go.mod")
	for content, want := range map[string]string{
		"module m\n":                             Go,
		"module m\n\ngo 1.25\n":                  Go,
		"module m\n\ngo 1.26.3\n":                Go,
		"module m\n\ngo 1.99.1\n":                "go1.99.1",
		"module m\r\n\r\ngo 1.99.1 // newer\r\n": "go1.99.1",
	} {
		require.NoError(t, os.WriteFile(gomod, []byte(content), 0o600))
		assert.Equal(t, want, Required(gomod), content)
	}
}
