package localcloud_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud/engine"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The program that operators run is a binary that the command starts, by
// Pulumi.yaml with its "main: infra": here it is just that. It is the same for a client
// and for what a project's clients share.
func TestALiteralPulumiUpRunsTheCompiledProgram(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()

	program := filepath.Join(dir, "infra")
	compile := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./infra")
	compile.Dir = enginetest.Root
	out, err := compile.CombinedOutput()
	require.NoError(t, err, string(out))
	host, languages := startGoHost(t, program)

	// The clone itself is never written to.
	clone := filepath.Join(dir, "clone")
	require.NoError(t, os.MkdirAll(filepath.Join(clone, "infra"), 0o755))
	project, err := os.ReadFile(filepath.Join(enginetest.Root, "Pulumi.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(clone, "Pulumi.yaml"), project, 0o644))
	stack := func(name string, config map[string]any) {
		content, err := yaml.Marshal(map[string]any{"config": engine.Config(cloud, config)})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(clone, "Pulumi."+name+".yaml"), content, 0o600))
	}
	stack("acme", enginetest.Config(cloud, map[string]any{"berth:data": map[string]any{"enabled": true}}))
	stack("shared", map[string]any{"berth:kind": "project", "gcp:project": enginetest.Project, "gcp:region": "europe-west1"})

	env := []string{"PULUMI_DEBUG_LANGUAGES=" + languages}
	for name, value := range engine.Env(cloud, filepath.Join(dir, "pulumi")) {
		env = append(env, name+"="+value)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pulumi", "backend"), 0o700))
	try := func(args ...string) (stdout, stderr string, err error) {
		stdout, stderr, _, err = enginetest.Pulumi.Run(t.Context(), clone, nil, nil, nil, env, args...)
		return stdout, stderr, err
	}
	pulumi := func(args ...string) string {
		t.Helper()
		stdout, stderr, err := try(args...)
		require.NoError(t, err, "pulumi %v: %s%s", args, stdout, stderr)
		return stdout
	}

	pulumi("stack", "init", "acme")
	assert.Contains(t, pulumi("up", "--yes", "--skip-preview"), "created")
	assert.Equal(t, filepath.Join(clone, "infra"), host.pwd, "main: infra")
	assert.Contains(t, pulumi("stack", "output", "connect"), "berth-proxy acme=http://127.0.0.1:")
	assert.Contains(t, pulumi("up", "--yes", "--expect-no-changes"), "unchanged")

	pulumi("stack", "init", "shared")
	assert.Contains(t, pulumi("up", "--yes", "--skip-preview"), "created")
	assert.Contains(t, pulumi("stack", "output", "repository"), enginetest.Project+"/berth")
	assert.Contains(t, pulumi("up", "--yes", "--expect-no-changes"), "unchanged")
	assert.Contains(t, pulumi("up", "--yes", "--expect-no-changes", "--stack", "acme"), "unchanged", "neither minds the other")

	pulumi("destroy", "--yes", "--stack", "shared")
	before := cloud.Inventory()
	for _, preview := range []string{"--skip-preview=false", "--skip-preview"} {
		stdout, stderr, err := try("destroy", "--yes", "--stack", "acme", preview)
		require.Error(t, err, "a stack with data")
		assert.Contains(t, stdout+stderr, "berth-guard")
		require.Equal(t, before, cloud.Inventory(), "nothing was deleted")
	}
	pulumi("config", "set", "--path", "berth:data.protect", "false", "--stack", "acme")
	pulumi("up", "--yes", "--stack", "acme")
	pulumi("destroy", "--yes", "--stack", "acme")
	assert.Empty(t, cloud.Inventory())
}
