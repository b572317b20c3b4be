package envtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatTheUserHasSetIsGoneAndGoStillWorks(t *testing.T) {
	foreign := []string{"BERTH_PROXY_PORT", "GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY", "https_proxy", "NO_COLOR", "OTEL_SDK_DISABLED", "PULUMI_CONFIG", "CI", "TZ", "GODEBUG"}
	for _, variable := range os.Environ() { // so that it is put back
		if name, value, _ := strings.Cut(variable, "="); name != "" {
			t.Setenv(name, value)
		}
	}
	for _, name := range foreign {
		t.Setenv(name, "1")
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	Clear()
	for _, name := range foreign {
		_, set := os.LookupEnv(name)
		assert.False(t, set, name)
	}
	assert.Equal(t, "-mod=mod", os.Getenv("GOFLAGS"))
	Fetching(func() {
		assert.Equal(t, []string{"1", "1", ""}, []string{os.Getenv("HTTPS_PROXY"), os.Getenv("https_proxy"), os.Getenv("PULUMI_CONFIG")})
	})
	assert.Empty(t, os.Getenv("HTTPS_PROXY"), "and is gone again")
	require.NoError(t, exec.Command("go", "version").Run())
}

func TestGoWritesNothingIntoAHome(t *testing.T) {
	home := Home(t)
	cmd := exec.Command("go", "env", "GOTELEMETRY")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "AppData="+filepath.Join(home, "AppData"), "GOENV=off")
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.Equal(t, "off", strings.TrimSpace(string(out)))
}
