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

func serviceName(client string) string {
	return "projects/" + enginetest.Project + "/locations/europe-west1/services/berth-" + client
}

func TestAPrebuiltImageOfAnotherRepositoryIsRunWithItsArguments(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	builder := enginetest.Deploy(t, cloud, dir, "builder", nil)
	built, _ := builder.Up(t)

	acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{"berth:image": built["image"].Value, "berth:port": 9000, "berth:args": []string{"--http"}})
	outputs, _ := acme.Up(t)
	assert.Equal(t, "--http", acme.Said(t, outputs, "/args"))
	enginetest.Settled(t, acme.Stack(t))
	assert.NotContains(t, strings.Join(cloud.Inventory(), "\n"), "repositories/berth-acme", "it has no repository")

	_, changed := acme.Set(map[string]any{"berth:args": []string{"--http", "--quiet"}}).Up(t)
	assert.Equal(t, map[string]int{"update": 1}, changed)
	assert.Equal(t, "--http --quiet", acme.Said(t, outputs, "/args"))

	_, changed = acme.Set(map[string]any{"berth:client": "umbrella"}).Up(t)
	assert.Equal(t, 4, changed["replace"], "place, account, service and binding: %v", changed)
	acme.Destroy(t)
	builder.Destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestASuspendedClientIsClosedAtOnceAndComesBack(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{"berth:viewer": true})
	outputs, _ := acme.Up(t)
	assert.Equal(t, "well", acme.Said(t, outputs, "/"))
	require.NotEmpty(t, cloud.Instances(serviceName("acme")))

	_, changed := acme.Set(map[string]any{"berth:suspend": true}).Up(t)
	assert.Equal(t, map[string]int{"update": 3}, changed, "the service and both bindings")
	assert.Empty(t, cloud.Invokers(serviceName("acme")))
	status, _ := enginetest.Get(t, cloud, enginetest.Ada, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusForbidden, status)
	require.Eventually(t, func() bool { return len(cloud.Instances(serviceName("acme"))) == 0 }, 2*time.Minute, 20*time.Millisecond, "nothing runs")
	enginetest.Settled(t, acme.Stack(t))

	_, changed = acme.Set(map[string]any{"berth:suspend": false}).Up(t)
	assert.Equal(t, map[string]int{"update": 3}, changed)
	assert.Equal(t, "well", acme.Said(t, outputs, "/"))
	enginetest.Settled(t, acme.Stack(t))
	enginetest.Destroyed(t, cloud, acme.Stack(t))
}

func TestWhoIsInTheConfiguredGroupMayCall(t *testing.T) {
	const bo = "bo@example.com"
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	require.NoError(t, cloud.Directory().AddPerson(bo))
	group := func(members ...string) map[string]any {
		return map[string]any{"berth:group": map[string]any{"email": "umbrella@example.com", "customer": localcloud.Customer, "members": members}}
	}
	acme := enginetest.Deploy(t, cloud, dir, "acme", enginetest.Quota()).Set(group(enginetest.Ada)).Set(map[string]any{"berth:developers": []string{}})
	outputs, _ := acme.Up(t)
	assert.Equal(t, []any{"group:umbrella@example.com"}, outputs["developers"].Value)
	assert.Equal(t, "well", acme.Said(t, outputs, "/"))
	status, _ := enginetest.Get(t, cloud, bo, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusForbidden, status)
	enginetest.Settled(t, acme.Stack(t))

	_, changed := acme.Set(group(enginetest.Ada, bo)).Up(t)
	assert.Equal(t, map[string]int{"create": 1}, changed, "onboarding is one membership")
	status, _ = enginetest.Get(t, cloud, bo, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusOK, status)

	_, changed = acme.Set(group(bo)).Up(t)
	assert.Equal(t, map[string]int{"delete": 1}, changed, "offboarding too")
	status, _ = enginetest.Get(t, cloud, enginetest.Ada, outputs["url"].Value.(string))
	assert.Equal(t, http.StatusForbidden, status)
	enginetest.Destroyed(t, cloud, acme.Stack(t))
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

	clients, outputs := map[string]*enginetest.Client{}, map[string]auto.OutputMap{}
	for _, name := range []string{"acme", "globex", "umbrella"} {
		clients[name] = enginetest.Deploy(t, cloud, dir, name, map[string]any{
			"berth:repository": "projects/" + enginetest.Project + "/locations/europe-west1/repositories/servers",
			"berth:secrets":    map[string]any{"SHARED": map[string]any{"secret": "shared-key", "version": "1"}},
		})
		outputs[name], _ = clients[name].Up(t)
		assert.Equal(t, "of everybody", clients[name].Said(t, outputs[name], "/env/SHARED"))
	}

	clients["globex"].Destroy(t)
	for _, left := range cloud.Inventory() {
		// What was pushed to a repository that others own stays there.
		assert.False(t, strings.Contains(left, "berth-globex") && !strings.Contains(left, "/repositories/servers"), left)
	}
	for _, name := range []string{"acme", "umbrella"} {
		enginetest.Settled(t, clients[name].Stack(t))
		assert.Equal(t, "of everybody", clients[name].Said(t, outputs[name], "/env/SHARED"))
	}
	clients["acme"].Destroy(t)
	clients["umbrella"].Destroy(t)
	for _, there := range before {
		assert.True(t, slices.Contains(cloud.Inventory(), there), "%s went with a client", there)
	}
}

func TestASecretsValueReachesTheServerAndNobodyElse(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := enginetest.Deploy(t, cloud, dir, "acme", nil)
	acme.Secrets = map[string]string{"berth:secrets.API_TOKEN.value": "hunter2"}
	outputs, _ := acme.Up(t)
	assert.Equal(t, "hunter2", acme.Said(t, outputs, "/env/API_TOKEN"))
	assert.NotContains(t, enginetest.EverythingBelow(t, dir), "hunter2", "nothing on the disk holds it in the clear")
	enginetest.Settled(t, acme.Stack(t))

	acme.Secrets["berth:secrets.API_TOKEN.value"] = "correct horse"
	_, changed := acme.Up(t)
	assert.Equal(t, map[string]int{"replace": 1, "update": 1}, changed, "another version, and the server that reads it")
	assert.Equal(t, "correct horse", acme.Said(t, outputs, "/env/API_TOKEN"))
	enginetest.Settled(t, acme.Stack(t))

	acme.Secrets, acme.Config["berth:secrets"] = nil, map[string]any{}
	_, changed = acme.Up(t)
	assert.Equal(t, map[string]int{"delete": 4, "update": 1}, changed, "secret, version, grant, and the record that the API is on")
	assert.Empty(t, acme.Said(t, outputs, "/env/API_TOKEN"))
	enginetest.Destroyed(t, cloud, acme.Stack(t))
}

func TestAClientWithEverythingIsDeployedAndGoesBackToTheDefaults(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	builder := enginetest.Deploy(t, cloud, dir, "builder", nil)
	built, _ := builder.Up(t)
	port := imagetest.Port(t)
	enginetest.Up(t, enginetest.Shared(t, cloud, dir, map[string]any{
		"berth:sharedRepository": map[string]any{"enabled": false},
		"berth:encryptionKeys":   []map[string]any{{"key": enginetest.Key, "agents": []string{"artifactregistry", "run", "secretmanager", "storage"}}},
	}))

	acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{
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
	}).Set(enginetest.Quota())
	acme.Secrets = map[string]string{
		"berth:secrets.API_TOKEN.value": "hunter2",
		"berth:secrets.KEY.value":       "in a file",
		"berth:secrets.KEY.file":        "/secrets/key/value",
	}
	outputs, _ := acme.Up(t)
	assert.Equal(t, "hunter2", acme.Said(t, outputs, "/env/API_TOKEN"))
	assert.Equal(t, "in a file", acme.Said(t, outputs, "/file/KEY_FILE"))
	assert.Equal(t, "info", acme.Said(t, outputs, "/env/LOG_LEVEL"))
	agent := "/ask/" + strconv.Itoa(port)
	assert.Equal(t, "agent", acme.Said(t, outputs, agent+"/env/ROLE"), "the server reaches the agent on localhost")
	server := "/ask/" + acme.Said(t, outputs, "/env/PORT")
	assert.Equal(t, "info", acme.Said(t, outputs, agent+server+"/env/LOG_LEVEL"), "and the agent the server")
	enginetest.Settled(t, acme.Stack(t))

	for key := range acme.Config { // back to the defaults, which must reset everything
		if strings.HasPrefix(key, "berth:") && key != "berth:build" && key != "berth:kmsKey" {
			delete(acme.Config, key)
		}
	}
	acme.Secrets = nil
	_, changed := acme.Up(t)
	assert.NotContains(t, changed, "replace", "none of these needs another service")
	assert.Empty(t, acme.Said(t, outputs, "/env/API_TOKEN"))
	enginetest.Settled(t, acme.Stack(t))
	acme.Destroy(t)
	builder.Destroy(t)
	assert.Empty(t, cloud.Inventory())
}

func TestAClientIsWatchedAsFarAsItIsWanted(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	acme := enginetest.Deploy(t, cloud, dir, "acme", map[string]any{"berth:monitoring": map[string]any{"enabled": true}})
	_, changed := acme.Up(t)
	assert.Equal(t, map[string]int{"create": changed["create"]}, changed)
	there := strings.Join(cloud.Inventory(), "\n")
	assert.Equal(t, 5, strings.Count(there, "/alertPolicies/"), there)
	assert.Equal(t, 3, strings.Count(there, "/metrics/"), there)
	assert.Equal(t, 1, strings.Count(there, "/dashboards/"), there)
	enginetest.Settled(t, acme.Stack(t))

	_, changed = acme.Set(map[string]any{"berth:monitoring": map[string]any{"enabled": true, "errors": 9, "refused": 0, "dashboard": false}}).Up(t)
	assert.Equal(t, map[string]int{"update": 1, "delete": 2}, changed, "an alert is tuned, another and the dashboard are off")
	enginetest.Settled(t, acme.Stack(t))

	_, changed = acme.Set(map[string]any{"berth:monitoring": map[string]any{"enabled": false}}).Up(t)
	assert.NotContains(t, changed, "update")
	assert.NotContains(t, strings.Join(cloud.Inventory(), "\n"), "/alertPolicies/")
	enginetest.Destroyed(t, cloud, acme.Stack(t))
}
