package client

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestThePulumiDevStackShowsEveryKey(t *testing.T) {
	content, err := os.ReadFile("../../Pulumi.dev.yaml")
	require.NoError(t, err)
	var stack struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(content, &stack))

	for _, k := range Keys {
		assert.Contains(t, stack.Config, "berth:"+k.Name)
	}
}
