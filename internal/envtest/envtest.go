// Package envtest gives tests an environment that is the same on every machine.
package envtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// kept are the variables by which programs are found and run, temporary files are placed,
// Go builds, and what is built once is found again. GODEBUG is none of them: it changes what programs do.
var kept = regexp.MustCompile(`^(` + strings.Join([]string{
	"PATH", "PATHEXT", "COMSPEC", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "LD_LIBRARY_PATH",
	"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_CACHE_HOME", "USER", "LOGNAME", "USERNAME",
	"TMPDIR", "TEMP", "TMP",
	"GO[A-Z0-9]*", "CGO_[A-Z_]*", "CC", "CXX", "BERTH_CACHE",
}, "|") + `)$`)

// network are the variables by which programs reach the network from this machine.
var network = regexp.MustCompile(`^(HTTPS?_PROXY|ALL_PROXY|NO_PROXY|SSL_CERT_FILE|SSL_CERT_DIR|NODE_EXTRA_CA_CERTS|NPM_CONFIG_[A-Z_]*)$`)

// cleared are those that Clear has dropped, as NAME=value.
var cleared []string

// Clear drops what the user has set for other programs, or for Berth: no test may depend on
// it. It is for TestMain, before anything has read the environment.
func Clear() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		upper := strings.ToUpper(name)
		if name == "" || kept.MatchString(upper) && upper != "GODEBUG" {
			continue
		}
		if network.MatchString(upper) {
			cleared = append(cleared, variable)
		}
		if err := os.Unsetenv(name); err != nil {
			panic(fmt.Sprintf("clearing %s: %v", name, err))
		}
	}
}

// Fetching calls a function that fetches what a test needs from a package registry. Until it
// returns, what Clear has dropped of the way to the network is there again: certificates
// that a company has added, its proxy, its registries.
func Fetching(f func()) {
	for _, variable := range cleared {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			panic(fmt.Sprintf("setting %s: %v", name, err))
		}
		defer os.Unsetenv(name)
	}
	f()
}

// Home makes a home directory for commands that a test runs. Go's telemetry is off in it:
// otherwise the first go command leaves a process behind that writes into the directory
// while the test removes it.
func Home(t testing.TB) string {
	t.Helper()
	home := t.TempDir()
	config := filepath.Join(home, ".config")
	switch runtime.GOOS {
	case "darwin":
		config = filepath.Join(home, "Library", "Application Support")
	case "windows":
		config = filepath.Join(home, "AppData")
	}
	telemetry := filepath.Join(config, "go", "telemetry")
	if err := os.MkdirAll(telemetry, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(telemetry, "mode"), []byte("off"), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}
