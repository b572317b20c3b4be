package engine_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

// TestStack_UpgradesStateOf2788c40 gives a deployed client the state that Berth of commit
// 2788c40 exported for the same settings. An update with today's program must keep every
// resource: a replaced service, bucket or account would take the client down.
func TestStack_UpgradesStateOf2788c40(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{
		"berth:data":       map[string]any{"enabled": true, "protect": false},
		"berth:monitoring": map[string]any{"enabled": true},
		"berth:viewer":     true,
	})
	acme.Secrets = map[string]string{"berth:secrets.API_TOKEN.value": "xyzzy"}
	outputs, _ := acme.Up(t)

	stack := acme.Stack(t)
	today, err := stack.Export(t.Context())
	require.NoError(t, err)
	require.NoError(t, stack.Import(t.Context(), stateOf2788c40(t, cloud, outputs, ids(t, today))))

	_, changed := acme.Up(t)
	assert.Empty(t, changed, "nothing is created, replaced, deleted or updated")
	assert.Equal(t, "well", acme.Said(t, outputs, "/"))
	enginetest.Destroyed(t, cloud, acme.Stack(t))
}

// stateOf2788c40 is the exported state with this cloud's addresses, token and ids in the
// place of the words and ids that stand for them in the file.
func stateOf2788c40(t *testing.T, cloud *localcloud.Cloud, outputs auto.OutputMap, today map[string]string) apitype.UntypedDeployment {
	t.Helper()
	config := cloud.ProviderConfig()
	_, digest, found := strings.Cut(outputs["image"].Value.(string), "@")
	require.True(t, found)
	content, err := os.ReadFile("testdata/state-2788c40.json")
	require.NoError(t, err)
	replacements := []string{
		"API-HOST", host(t, config["gcp:cloudRunV2CustomEndpoint"]),
		"STORAGE-HOST", host(t, config["gcp:storageCustomEndpoint"]),
		"REGISTRY-HOST", cloud.RegistryHost(),
		"SERVICE-HOST", host(t, outputs["url"].Value.(string)),
		"ACCESS-TOKEN", config["gcp:accessToken"],
		"IMAGE-DIGEST", digest,
	}
	var state apitype.UntypedDeployment
	require.NoError(t, json.Unmarshal(content, &state))
	for urn, id := range ids(t, state) {
		if strings.Contains(urn, "gcp:monitoring/") { // Google chooses these ids
			require.NotEmpty(t, today[urn], urn)
			replacements = append(replacements, id, today[urn])
		}
	}
	content = []byte(strings.NewReplacer(replacements...).Replace(string(content)))
	require.NoError(t, json.Unmarshal(content, &state))
	return state
}

// ids are the ids of the resources in a state, by URN.
func ids(t *testing.T, state apitype.UntypedDeployment) map[string]string {
	t.Helper()
	var deployment apitype.DeploymentV3
	require.NoError(t, json.Unmarshal(state.Deployment, &deployment))
	found := map[string]string{}
	for _, r := range deployment.Resources {
		found[string(r.URN)] = string(r.ID)
	}
	return found
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	require.NotEmpty(t, u.Host, address)
	return u.Host
}
