package protection_test

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
	enginetest.Destroyed(t, cloud, stack)
}

func TestAClientsDataDoesNotGoByAccident(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{"berth:data": map[string]any{"enabled": true, "versioning": false, "retentionDays": 1}})
	outputs, _ := acme.Up(t)
	assert.Equal(t, "gs://"+enginetest.Project+"-berth-acme", acme.Said(t, outputs, "/env/BERTH_DATA"))
	enginetest.Settled(t, acme.Stack(t))
	bucket := enginetest.Project + "-berth-acme"
	enginetest.PutObject(t, cloud, bucket, "goals.json")

	before, stack := cloud.Inventory(), acme.Stack(t)
	require.Contains(t, before, "//storage.googleapis.com/projects/_/buckets/"+bucket+"/objects/goals.json")
	_, err := stack.Destroy(t.Context())
	require.ErrorContains(t, err, "berth-guard")
	require.Equal(t, before, cloud.Inventory(), "nothing was deleted")
	assert.Equal(t, "well", acme.Said(t, outputs, "/"))

	off := acme.Set(map[string]any{"berth:data": map[string]any{"enabled": false}}).Stack(t)
	_, err = off.Up(t.Context())
	require.ErrorContains(t, err, "protected")
	require.Equal(t, before, cloud.Inventory(), "to turn the data off is not to let go of it")
	acme.Set(map[string]any{"berth:data": map[string]any{"enabled": true, "versioning": false, "retentionDays": 1}})
	back, _ := acme.Up(t)
	assert.Equal(t, "gs://"+bucket, acme.Said(t, back, "/env/BERTH_DATA"))

	_, changed := acme.Set(map[string]any{"berth:data": map[string]any{"enabled": true, "versioning": false, "retentionDays": 1, "protect": false}}).Up(t)
	assert.NotContains(t, changed, "replace")
	enginetest.Settled(t, acme.Stack(t))
	enginetest.Destroyed(t, cloud, acme.Stack(t))
}
