// Package sandbox keeps a process, and everything that it starts, away from
// real accounts: whoever works on the local cloud enters it first.
//
// Inside, there is no credential to find (an empty home, no metadata server) and
// no setting of Google's or Pulumi's tools that a shell may hold.
package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/berth-mcp/berth/internal/pulumicli"
)

// scrubbed are the prefixes of the environment variables that choose accounts,
// projects, endpoints, backends or plugins.
var scrubbed = []string{"GOOGLE_", "CLOUDSDK_", "GCLOUD_", "GCE_", "PULUMI_", "BERTH_PROXY_"}

// goSettings must survive the change of home, or every build would start cold.
var goSettings = []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOENV"}

// Enter changes the environment of this process for good. Dir, which the caller
// owns, becomes the home. The caches of Go and of Berth stay where they are.
func Enter(dir string) error {
	keep, err := caches()
	if err != nil {
		return err
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range scrubbed {
			if strings.HasPrefix(name, prefix) {
				if err := os.Unsetenv(name); err != nil {
					return fmt.Errorf("clearing %s: %w", name, err)
				}
			}
		}
	}
	settings := map[string]string{
		"HOME":            dir,
		"USERPROFILE":     dir,
		"XDG_CONFIG_HOME": filepath.Join(dir, ".config"),
		"APPDATA":         filepath.Join(dir, "AppData"),
		// Where gcloud keeps its logins: none here.
		"CLOUDSDK_CONFIG": filepath.Join(dir, ".config", "gcloud"),
		// Pulumi may ask the system, and not HOME, whose home it is to write logs to.
		"PULUMI_HOME": filepath.Join(dir, ".pulumi"),
		// On a Google VM the metadata server would give out the VM's account.
		// Nothing listens on this port of loopback.
		"GCE_METADATA_HOST": "127.0.0.1:1",
	}
	for name, value := range keep {
		settings[name] = value
	}
	for name, value := range settings {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	return noTelemetry()
}

// noTelemetry turns off what Go begins in each new home: a process in the background,
// which would write into it when its owner removes it already.
func noTelemetry() error {
	config, err := os.UserConfigDir()
	if err != nil {
		return fmt.Errorf("looking for Go's settings: %w", err)
	}
	dir := filepath.Join(config, "go", "telemetry")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a home: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "mode"), []byte("off"), 0o600)
}

// caches are the variables that hold the build caches in place.
func caches() (map[string]string, error) {
	out, err := exec.Command("go", append([]string{"env", "-json"}, goSettings...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("asking go for its caches: %w; Go must be on PATH", err)
	}
	keep := map[string]string{}
	if err := json.Unmarshal(out, &keep); err != nil {
		return nil, fmt.Errorf("reading go's settings: %w", err)
	}
	cache, err := pulumicli.CacheDir()
	if err != nil {
		return nil, err
	}
	keep[pulumicli.CacheVar] = cache
	return keep, nil
}
