package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/auth/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/envtest"
)

// report is what a process finds after it has entered the sandbox.
type report struct {
	Environ     []string
	GoCache     string
	GoTelemetry string
	Home        string
	Credentials string // why none were found, or "found"
}

// TestMain makes this binary its own subject: entering the sandbox changes a
// process for good.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SANDBOX_TEST_DIR"); dir != "" {
		inside(dir)
		return
	}
	os.Exit(m.Run())
}

func inside(dir string) {
	if err := Enter(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r := report{Environ: os.Environ(), Credentials: "found"}
	r.Home, _ = os.UserHomeDir()
	cache, _ := exec.Command("go", "env", "GOCACHE").Output()
	r.GoCache = strings.TrimSpace(string(cache))
	telemetry, _ := exec.Command("go", "env", "GOTELEMETRY").Output()
	r.GoTelemetry = strings.TrimSpace(string(telemetry))
	found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{"x"}})
	if err == nil {
		_, err = found.Token(context.Background())
	}
	if err != nil {
		r.Credentials = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

func TestNothingOfARealAccountIsFoundInside(t *testing.T) {
	home := envtest.Home(t)
	login := filepath.Join(home, ".config", "gcloud", "application_default_credentials.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(login), 0o700))
	require.NoError(t, os.WriteFile(login, []byte(`{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"real-refresh-token"}`), 0o600))
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
	require.NoError(t, err)

	hostile := map[string]string{
		"HOME":                           home,
		"GOCACHE":                        strings.TrimSpace(string(cache)),
		"GOMODCACHE":                     strings.TrimSpace(string(modules)),
		"GOOGLE_APPLICATION_CREDENTIALS": login,
		"GOOGLE_OAUTH_ACCESS_TOKEN":      "real-secret",
		"GOOGLE_CREDENTIALS":             "real-secret",
		"GOOGLE_PROJECT":                 "real-secret",
		"CLOUDSDK_CORE_PROJECT":          "real-secret",
		"CLOUDSDK_AUTH_ACCESS_TOKEN":     "real-secret",
		"GCE_METADATA_IP":                "real-secret",
		"PULUMI_ACCESS_TOKEN":            "real-secret",
		"PULUMI_BACKEND_URL":             "real-secret",
		"PULUMI_DEBUG_PROVIDERS":         "real-secret",
		"BERTH_PROXY_PORT":               "real-secret",
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SANDBOX_TEST_DIR="+dir)
	for name, value := range hostile {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.Output()
	require.NoError(t, err)
	var got report
	require.NoError(t, json.Unmarshal(out, &got))

	assert.NotContains(t, strings.Join(got.Environ, "\n"), "real-secret")
	assert.Equal(t, dir, got.Home)
	assert.Contains(t, got.Environ, "PULUMI_HOME="+filepath.Join(dir, ".pulumi"))
	assert.NotEqual(t, "found", got.Credentials, "no login of the host's is in reach")
	assert.NotContains(t, strings.Join(got.Environ, "\n"), "GOOGLE_APPLICATION_CREDENTIALS")
	assert.Equal(t, hostile["GOCACHE"], got.GoCache, "builds stay warm")
	assert.Equal(t, "off", got.GoTelemetry, "go starts no process that outlives the sandbox")
}
