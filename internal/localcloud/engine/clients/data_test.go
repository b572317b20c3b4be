package clients_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAClientsDataGoesWithItWhenItIsLetGo(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	stack := enginetest.Stack(t, cloud, t.TempDir(), "acme", map[string]any{
		"berth:data": map[string]any{"enabled": true, "protect": false},
	})
	enginetest.Up(t, stack)
	i := slices.IndexFunc(cloud.Inventory(), func(name string) bool { return strings.Contains(name, "/buckets/") })
	require.GreaterOrEqual(t, i, 0)
	bucket := cloud.Inventory()[i]
	enginetest.PutObject(t, cloud, bucket[strings.LastIndexByte(bucket, '/')+1:], "goals.json")
	_, err := stack.Destroy(t.Context())
	require.NoError(t, err)
	assert.Empty(t, cloud.Inventory())
}
