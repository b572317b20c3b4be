package clients_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/secretmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deployed is a client's stack in a test: settings that change from one update to
// the next.
type deployed struct {
	cloud   *localcloud.Cloud
	dir     string
	name    string
	config  map[string]any
	secrets map[string]string // by the path of the setting
}

func deploy(t *testing.T, cloud *localcloud.Cloud, dir, name string, config map[string]any) *deployed {
	t.Helper()
	c := &deployed{cloud: cloud, dir: dir, name: name, config: map[string]any{"berth:build": enginetest.Teller(t)}}
	return c.set(config)
}

func (c *deployed) set(config map[string]any) *deployed {
	for key, value := range config {
		c.config[key] = value
	}
	return c
}

func (c *deployed) stack(t *testing.T) auto.Stack {
	t.Helper()
	stack := enginetest.Stack(t, c.cloud, c.dir, c.name, c.config)
	for path, value := range c.secrets {
		require.NoError(t, stack.SetConfigWithOptions(t.Context(), path, auto.ConfigValue{Value: value, Secret: true}, &auto.ConfigOptions{Path: true}))
	}
	return stack
}

func (c *deployed) up(t *testing.T) (auto.OutputMap, map[string]int) {
	t.Helper()
	return enginetest.Up(t, c.stack(t))
}

func (c *deployed) destroy(t *testing.T) {
	t.Helper()
	stack := c.stack(t)
	_, err := stack.Destroy(t.Context())
	require.NoError(t, err)
}

// said is what the client's server answers to Ada.
func (c *deployed) said(t *testing.T, outputs auto.OutputMap, path string) string {
	t.Helper()
	status, body := enginetest.Get(t, c.cloud, enginetest.Ada, outputs["url"].Value.(string)+path)
	require.Equal(t, http.StatusOK, status, body)
	return body
}

func serviceName(client string) string {
	return "projects/" + enginetest.Project + "/locations/europe-west1/services/berth-" + client
}

func TestAPrebuiltImageOfAnotherRepositoryIsRunWithItsArguments(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	builder := deploy(t, cloud, dir, "builder", nil)
	built, _ := builder.up(t)

	acme := deploy(t, cloud, dir, "acme", map[string]any{"berth:image": built["image"].Value, "berth:port": 9000, "berth:args": []string{"--http"}})
	outputs, _ := acme.up(t)
	assert.Equal(t, "--http", acme.said(t, outputs, "/args"))
	enginetest.Settled(t, acme.stack(t))
	assert.NotContains(t, strings.Join(cloud.Inventory(), "\n"), "repositories/berth-acme", "it has no repository")

	_, changed := acme.set(map[string]any{"berth:args": []string{"--http", "--quiet"}}).up(t)
	assert.Equal(t, map[string]int{"update": 1}, changed)
	assert.Equal(t, "--http --quiet", acme.said(t, outputs, "/args"))

	_, changed = acme.set(map[string]any{"berth:client": "umbrella"}).up(t)
	assert.Equal(t, 4, changed["replace"], "place, account, service and binding: %v", changed)
	acme.destroy(t)
	builder.destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestASuspendedClientIsClosedAtOnceAndComesBack(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := deploy(t, cloud, dir, "acme", map[string]any{"berth:viewer": true})
	outputs, _ := acme.up(t)
	assert.Equal(t, "well", acme.said(t, outputs, "/"))
	require.NotEmpty(t, cloud.Instances(serviceName("acme")))

	_, changed := acme.set(map[string]any{"berth:suspend": true}).up(t)
	assert.Equal(t, map[string]int{"update": 3}, changed, "the service and both bindings")
	assert.Empty(t, cloud.Invokers(serviceName("acme")))
	status, _ := enginetest.Get(t, cloud, enginetest.Ada, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusForbidden, status)
	require.Eventually(t, func() bool { return len(cloud.Instances(serviceName("acme"))) == 0 }, 2*time.Minute, 20*time.Millisecond, "nothing runs")
	enginetest.Settled(t, acme.stack(t))

	_, changed = acme.set(map[string]any{"berth:suspend": false}).up(t)
	assert.Equal(t, map[string]int{"update": 3}, changed)
	assert.Equal(t, "well", acme.said(t, outputs, "/"))
	enginetest.Settled(t, acme.stack(t))
	acme.destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestWhoIsInTheConfiguredGroupMayCall(t *testing.T) {
	const bo = "bo@example.com"
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	require.NoError(t, cloud.Directory().AddPerson(bo))
	group := func(members ...string) map[string]any {
		return map[string]any{"berth:group": map[string]any{"email": "umbrella@example.com", "customer": localcloud.Customer, "members": members}}
	}
	acme := deploy(t, cloud, dir, "acme", enginetest.Quota()).set(group(enginetest.Ada)).set(map[string]any{"berth:developers": []string{}})
	outputs, _ := acme.up(t)
	assert.Equal(t, []any{"group:umbrella@example.com"}, outputs["developers"].Value)
	assert.Equal(t, "well", acme.said(t, outputs, "/"))
	status, _ := enginetest.Get(t, cloud, bo, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusForbidden, status)
	enginetest.Settled(t, acme.stack(t))

	_, changed := acme.set(group(enginetest.Ada, bo)).up(t)
	assert.Equal(t, map[string]int{"create": 1}, changed, "onboarding is one membership")
	status, _ = enginetest.Get(t, cloud, bo, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusOK, status)

	_, changed = acme.set(group(bo)).up(t)
	assert.Equal(t, map[string]int{"delete": 1}, changed, "offboarding too")
	status, _ = enginetest.Get(t, cloud, enginetest.Ada, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusForbidden, status)
	acme.destroy(t)
	assert.Empty(t, cloud.Inventory())
}

// shared is a stack with what clients share: a secret and a repository.
func shared(t *testing.T, cloud *localcloud.Cloud, dir string) auto.Stack {
	t.Helper()
	return enginetest.Program(t, cloud, dir, []string{"secretmanager.googleapis.com", "artifactregistry.googleapis.com"},
		func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
			secret, err := secretmanager.NewSecret(ctx, "shared", &secretmanager.SecretArgs{
				SecretId:    pulumi.String("shared-key"),
				Replication: &secretmanager.SecretReplicationArgs{Auto: &secretmanager.SecretReplicationAutoArgs{}},
			}, enabled)
			if err != nil {
				return err
			}
			if _, err := secretmanager.NewSecretVersion(ctx, "one", &secretmanager.SecretVersionArgs{
				Secret: secret.ID(), SecretData: pulumi.ToSecret(pulumi.String("of everybody")).(pulumi.StringOutput),
			}); err != nil {
				return err
			}
			_, err = artifactregistry.NewRepository(ctx, "servers", &artifactregistry.RepositoryArgs{
				RepositoryId: pulumi.String("servers"), Location: pulumi.String("europe-west1"), Format: pulumi.String("DOCKER"),
			}, enabled)
			return err
		})
}

func TestClientsInOneProjectDoNotNoticeThatAnotherGoes(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	common := shared(t, cloud, dir)
	enginetest.Up(t, common)
	before := cloud.Inventory()

	clients, outputs := map[string]*deployed{}, map[string]auto.OutputMap{}
	for _, name := range []string{"acme", "globex", "umbrella"} {
		clients[name] = deploy(t, cloud, dir, name, map[string]any{
			"berth:repository": "projects/" + enginetest.Project + "/locations/europe-west1/repositories/servers",
			"berth:secrets":    map[string]any{"SHARED": map[string]any{"secret": "shared-key", "version": "1"}},
		})
		outputs[name], _ = clients[name].up(t)
		assert.Equal(t, "of everybody", clients[name].said(t, outputs[name], "/env/SHARED"))
	}

	clients["globex"].destroy(t)
	for _, left := range cloud.Inventory() {
		// What was pushed to a repository that others own stays there.
		assert.False(t, strings.Contains(left, "berth-globex") && !strings.Contains(left, "/repositories/servers"), left)
	}
	for _, name := range []string{"acme", "umbrella"} {
		enginetest.Settled(t, clients[name].stack(t))
		assert.Equal(t, "of everybody", clients[name].said(t, outputs[name], "/env/SHARED"))
	}
	clients["acme"].destroy(t)
	clients["umbrella"].destroy(t)
	for _, there := range before {
		assert.True(t, slices.Contains(cloud.Inventory(), there), "%s went with a client", there)
	}
}

func TestASecretsValueReachesTheServerAndNobodyElse(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := deploy(t, cloud, dir, "acme", nil)
	acme.secrets = map[string]string{"berth:secrets.API_TOKEN.value": "hunter2"}
	outputs, _ := acme.up(t)
	assert.Equal(t, "hunter2", acme.said(t, outputs, "/env/API_TOKEN"))
	assert.NotContains(t, enginetest.EverythingBelow(t, dir), "hunter2", "nothing on the disk holds it in the clear")
	enginetest.Settled(t, acme.stack(t))

	acme.secrets["berth:secrets.API_TOKEN.value"] = "correct horse"
	_, changed := acme.up(t)
	assert.Equal(t, map[string]int{"replace": 1, "update": 1}, changed, "another version, and the server that reads it")
	assert.Equal(t, "correct horse", acme.said(t, outputs, "/env/API_TOKEN"))
	enginetest.Settled(t, acme.stack(t))

	acme.secrets, acme.config["berth:secrets"] = nil, map[string]any{}
	_, changed = acme.up(t)
	assert.Equal(t, map[string]int{"delete": 4, "update": 1}, changed, "secret, version, grant, and the record that the API is on")
	assert.Empty(t, acme.said(t, outputs, "/env/API_TOKEN"))
	acme.destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestAClientWithEverythingIsDeployedAndGoesBackToTheDefaults(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	builder := deploy(t, cloud, dir, "builder", nil)
	built, _ := builder.up(t)
	port := imagetest.Port(t)
	enginetest.Up(t, enginetest.Shared(t, cloud, dir, map[string]any{
		"berth:sharedRepository": map[string]any{"enabled": false},
		"berth:encryptionKeys":   []map[string]any{{"key": enginetest.Key, "agents": []string{"artifactregistry", "run", "secretmanager", "storage"}}},
	}))

	acme := deploy(t, cloud, dir, "acme", map[string]any{
		"berth:labels":               map[string]any{"owner": "ada", "cost-center": "cc-42"},
		"berth:viewer":               true,
		"berth:cpu":                  "2",
		"berth:memory":               "1Gi",
		"berth:cpuIdle":              false,
		"berth:concurrency":          10,
		"berth:requestTimeout":       600,
		"berth:sessionAffinity":      false,
		"berth:startupCpuBoost":      false,
		"berth:executionEnvironment": "gen2",
		"berth:maxInstances":         1,
		"berth:startupProbe":         map[string]any{"type": "http", "path": "/ready"},
		"berth:livenessProbe":        map[string]any{"type": "http", "path": "/live"},
		"berth:environment":          map[string]any{"LOG_LEVEL": "info", "KEY_FILE": "/secrets/key/value"},
		"berth:sidecars": map[string]any{"agent": map[string]any{
			"image": built["image"].Value, "memory": "512Mi", "first": true, "environment": map[string]any{"LISTEN_PORT": strconv.Itoa(port), "ROLE": "agent"},
			"startupProbe": map[string]any{"type": "tcp", "port": port, "period": 1, "failures": 60},
		}},
		"berth:audiences":           []string{"https://acme.example.com"},
		"berth:network":             map[string]any{"network": "acme", "subnetwork": "servers", "tags": []string{"mcp"}, "egress": "all-traffic"},
		"berth:kmsKey":              enginetest.Key,
		"berth:binaryAuthorization": "default",
		"berth:group":               map[string]any{"email": "umbrella@example.com", "customer": localcloud.Customer, "members": []string{enginetest.Ada}},
		"berth:data":                map[string]any{"enabled": true, "protect": false},
		"berth:monitoring":          map[string]any{"enabled": true},
	}).set(enginetest.Quota())
	acme.secrets = map[string]string{
		"berth:secrets.API_TOKEN.value": "hunter2",
		"berth:secrets.KEY.value":       "in a file",
		"berth:secrets.KEY.file":        "/secrets/key/value",
	}
	outputs, _ := acme.up(t)
	assert.Equal(t, "hunter2", acme.said(t, outputs, "/env/API_TOKEN"))
	assert.Equal(t, "in a file", acme.said(t, outputs, "/file/KEY_FILE"))
	assert.Equal(t, "info", acme.said(t, outputs, "/env/LOG_LEVEL"))
	agent := "/ask/" + strconv.Itoa(port)
	assert.Equal(t, "agent", acme.said(t, outputs, agent+"/env/ROLE"), "the server reaches the agent on localhost")
	server := "/ask/" + acme.said(t, outputs, "/env/PORT")
	assert.Equal(t, "info", acme.said(t, outputs, agent+server+"/env/LOG_LEVEL"), "and the agent the server")
	enginetest.Settled(t, acme.stack(t))

	for key := range acme.config { // back to the defaults, which must reset everything
		if strings.HasPrefix(key, "berth:") && key != "berth:build" && key != "berth:kmsKey" {
			delete(acme.config, key)
		}
	}
	acme.secrets = nil
	_, changed := acme.up(t)
	assert.NotContains(t, changed, "replace", "none of these needs another service")
	assert.Empty(t, acme.said(t, outputs, "/env/API_TOKEN"))
	enginetest.Settled(t, acme.stack(t))
	acme.destroy(t)
	builder.destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestAClientIsWatchedAsFarAsItIsWanted(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := deploy(t, cloud, dir, "acme", map[string]any{"berth:monitoring": map[string]any{"enabled": true}})
	_, changed := acme.up(t)
	assert.Equal(t, map[string]int{"create": changed["create"]}, changed)
	there := strings.Join(cloud.Inventory(), "\n")
	assert.Equal(t, 5, strings.Count(there, "/alertPolicies/"), there)
	assert.Equal(t, 3, strings.Count(there, "/metrics/"), there)
	assert.Equal(t, 1, strings.Count(there, "/dashboards/"), there)
	enginetest.Settled(t, acme.stack(t))

	_, changed = acme.set(map[string]any{"berth:monitoring": map[string]any{"enabled": true, "errors": 9, "refused": 0, "dashboard": false}}).up(t)
	assert.Equal(t, map[string]int{"update": 1, "delete": 2}, changed, "an alert is tuned, another and the dashboard are off")
	enginetest.Settled(t, acme.stack(t))

	_, changed = acme.set(map[string]any{"berth:monitoring": map[string]any{"enabled": false}}).up(t)
	assert.NotContains(t, changed, "update")
	assert.NotContains(t, strings.Join(cloud.Inventory(), "\n"), "/alertPolicies/")
	acme.destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestAClientsDataDoesNotGoByAccident(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := deploy(t, cloud, dir, "acme", map[string]any{"berth:data": map[string]any{"enabled": true, "versioning": false, "retentionDays": 1}})
	outputs, _ := acme.up(t)
	assert.Equal(t, "gs://"+enginetest.Project+"-berth-acme", acme.said(t, outputs, "/env/BERTH_DATA"))
	enginetest.Settled(t, acme.stack(t))
	bucket := enginetest.Project + "-berth-acme"
	enginetest.PutObject(t, cloud, bucket, "goals.json")

	before, stack := cloud.Inventory(), acme.stack(t)
	require.Contains(t, before, "//storage.googleapis.com/projects/_/buckets/"+bucket+"/objects/goals.json")
	_, err := stack.Destroy(t.Context())
	require.ErrorContains(t, err, "berth-guard")
	require.Equal(t, before, cloud.Inventory(), "nothing was deleted")
	assert.Equal(t, "well", acme.said(t, outputs, "/"))

	off := acme.set(map[string]any{"berth:data": map[string]any{"enabled": false}}).stack(t)
	_, err = off.Up(t.Context())
	require.ErrorContains(t, err, "protected")
	require.Equal(t, before, cloud.Inventory(), "to turn the data off is not to let go of it")
	acme.set(map[string]any{"berth:data": map[string]any{"enabled": true, "versioning": false, "retentionDays": 1}})
	back, _ := acme.up(t)
	assert.Equal(t, "gs://"+bucket, acme.said(t, back, "/env/BERTH_DATA"))

	_, changed := acme.set(map[string]any{"berth:data": map[string]any{"enabled": true, "versioning": false, "retentionDays": 1, "protect": false}}).up(t)
	assert.NotContains(t, changed, "replace")
	enginetest.Settled(t, acme.stack(t))
	acme.destroy(t)
	assert.Empty(t, cloud.Inventory())
}
