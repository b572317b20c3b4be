package client

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type declared struct {
	Type        string
	Default     any
	Description string
}

func TestPulumiYamlDeclaresEveryKeyAsTheProgramReadsIt(t *testing.T) {
	content, err := os.ReadFile("../../Pulumi.yaml")
	require.NoError(t, err)
	var project struct{ Config map[string]declared }
	require.NoError(t, yaml.Unmarshal(content, &project))

	want := map[string]declared{}
	for _, k := range Keys {
		value := k.Default
		if list, ok := value.([]string); ok {
			value = anys(list)
		}
		want["berth:"+k.Name] = declared{Type: k.Type, Default: value, Description: k.Description}
	}
	assert.Equal(t, want, project.Config)
}

func TestThePulumiDevStackShowsEveryKey(t *testing.T) {
	content, err := os.ReadFile("../../Pulumi.dev.yaml")
	require.NoError(t, err)
	var stack struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(content, &stack))

	for _, k := range Keys {
		assert.Contains(t, stack.Config, "berth:"+k.Name)
	}
}

func anys(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}
