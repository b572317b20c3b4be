package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/berth-mcp/berth/infra/project"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestPulumiTakesItsProjectFile(t *testing.T) {
	_, err := workspace.LoadProject("../Pulumi.yaml")
	require.NoError(t, err)
}

func TestTheExampleOfAProjectStackShowsEveryKeyAndIsValid(t *testing.T) {
	content, err := os.ReadFile("../Pulumi.shared.yaml")
	require.NoError(t, err)
	var example struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(content, &example))
	for _, k := range project.Keys {
		assert.Contains(t, example.Config, "berth:"+k.Name)
	}

	types, err := run(t, example.Config)
	require.NoError(t, err)
	assert.Contains(t, types, "gcp:artifactregistry/repository:Repository")
	assert.NotContains(t, types, "gcp:cloudrunv2/service:Service")
}

func TestTheKindPicksTheProgram(t *testing.T) {
	settings := map[string]any{
		"gcp:project":      "acme-prod",
		"gcp:region":       "europe-west1",
		"berth:developers": []string{"group:acme-developers@example.com"},
		"berth:image":      "example.com/team/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	}
	types, err := run(t, settings)
	require.NoError(t, err)
	assert.Contains(t, types, "gcp:cloudrunv2/service:Service", "a stack that does not say is a client")

	settings["berth:kind"] = "projekt"
	_, err = run(t, settings)
	require.ErrorContains(t, err, `berth:kind: "projekt" is no kind of stack`)
}

func TestAStackTakesTheDefaultsOfEveryKindAndRefusesWhatIsSetOfAnother(t *testing.T) {
	ofEveryKind := func() map[string]any {
		settings := map[string]any{"gcp:project": "acme-prod", "gcp:region": "europe-west1"}
		declared, err := workspace.LoadProject("../Pulumi.yaml")
		require.NoError(t, err)
		for name, d := range declared.Config {
			settings[name] = d.Default
		}
		return settings
	}
	settings := ofEveryKind()
	settings["berth:kind"] = "project"
	types, err := run(t, settings)
	require.NoError(t, err)
	assert.NotContains(t, types, "gcp:cloudrunv2/service:Service")

	settings["berth:developers"] = []string{"group:acme-developers@example.com"}
	types, err = run(t, settings)
	require.ErrorContains(t, err, "berth:developers")
	require.ErrorContains(t, err, "another kind of stack")
	assert.Empty(t, types)

	settings["berth:kind"] = "client"
	settings["berth:image"] = "example.com/team/server@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	types, err = run(t, settings)
	require.NoError(t, err)
	assert.Contains(t, types, "gcp:cloudrunv2/service:Service")

	settings["berth:budget"] = map[string]any{"amount": 5}
	_, err = run(t, settings)
	require.ErrorContains(t, err, "berth:budget")
	require.ErrorContains(t, err, "another kind of stack")
}

// run runs the program under mocks and gives the types of what it declares.
func run(t *testing.T, settings map[string]any) (types recorder, err error) {
	t.Helper()
	flat := map[string]string{}
	for name, value := range settings {
		if text, ok := value.(string); ok {
			flat[name] = text
			continue
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		flat[name] = string(encoded)
	}
	environment, err := json.Marshal(flat)
	require.NoError(t, err)
	t.Setenv(pulumi.EnvConfig, string(environment)) // as "pulumi up" does
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	err = pulumi.RunErr(stack, pulumi.WithMocks("berth", "acme", &types), func(info *pulumi.RunInfo) { info.Config, info.RootDirectory = flat, root })
	return types, err
}

type recorder []string

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	*r = append(*r, args.TypeToken)
	return args.Name + "-id", args.Inputs, nil
}

func (r *recorder) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return resource.PropertyMap{"number": resource.NewProperty("123456789012")}, nil
}
