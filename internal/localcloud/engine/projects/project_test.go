package projects_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudkms/v1"
	"google.golang.org/api/cloudresourcemanager/v1"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

const runAgent = "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"

// audited are the services whose data access is logged.
func audited(t *testing.T, cloud *localcloud.Cloud) map[string]int {
	t.Helper()
	manager, err := cloudresourcemanager.NewService(t.Context(), enginetest.API(cloud)...)
	require.NoError(t, err)
	policy, err := manager.Projects.GetIamPolicy(enginetest.Project, &cloudresourcemanager.GetIamPolicyRequest{}).Do()
	require.NoError(t, err)
	types := map[string]int{}
	for _, config := range policy.AuditConfigs {
		types[config.Service] = len(config.AuditLogConfigs)
	}
	return types
}

// keyUsers are who may encrypt with the cloud's key.
func keyUsers(t *testing.T, cloud *localcloud.Cloud) (members []string) {
	t.Helper()
	keys, err := cloudkms.NewService(t.Context(), enginetest.API(cloud)...)
	require.NoError(t, err)
	policy, err := keys.Projects.Locations.KeyRings.CryptoKeys.GetIamPolicy(enginetest.Key).Do()
	require.NoError(t, err)
	for _, binding := range policy.Bindings {
		members = append(members, binding.Members...)
	}
	return members
}

func TestAProjectStackGoesUpChangesAndLeavesNothing(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	stack := enginetest.Shared(t, cloud, dir, nil)
	outputs, changed := enginetest.Up(t, stack)
	assert.Equal(t, map[string]int{"create": changed["create"]}, changed)
	assert.Equal(t, "europe-west1-docker.pkg.dev/"+enginetest.Project+"/berth", outputs["repository"].Value)
	assert.Equal(t, map[string]int{"secretmanager.googleapis.com": 1}, audited(t, cloud))
	enginetest.Settled(t, stack)

	settings := map[string]any{
		"berth:sharedRepository": map[string]any{"keep": 3},
		"berth:imageReaders":     []string{"123456789012"},
		"berth:encryptionKeys":   []map[string]any{{"key": enginetest.Key, "agents": []string{"artifactregistry", "run", "secretmanager", "storage"}}},
		"berth:auditLogs": []map[string]any{
			{"service": "secretmanager.googleapis.com", "types": []string{"DATA_READ", "DATA_WRITE"}},
			{"service": "storage.googleapis.com", "types": []string{"DATA_READ"}},
		},
		"berth:logBucket": map[string]any{"enabled": true},
		"berth:sharedChannels": map[string]any{
			"operators": map[string]any{"email": "operators@example.com"},
			"pager":     map[string]any{"topic": "projects/" + enginetest.Project + "/topics/pager"},
		},
		"berth:budget": map[string]any{"amount": 50, "currency": "EUR", "billingAccount": enginetest.BillingAccount},
	}
	maps.Copy(settings, enginetest.Quota()) // a person's login needs it for the budget
	t.Run("what is tuned changes in place, and what is added is created", func(t *testing.T) {
		stack := enginetest.Shared(t, cloud, dir, settings)
		_, changed := enginetest.Up(t, stack)
		assert.Equal(t, map[string]int{
			"update": 2, // the repository's cleanup, the audit of secrets
			// A grant on the repository, four on the key, the three agents that Service
			// Usage makes, the audit of buckets, a log bucket and its sink, two channels,
			// a budget, the APIs of keys and budgets.
			"create": 16,
		}, changed)
		assert.ElementsMatch(t, []string{
			runAgent,
			"serviceAccount:service-123456789012@gcp-sa-artifactregistry.iam.gserviceaccount.com",
			"serviceAccount:service-123456789012@gcp-sa-secretmanager.iam.gserviceaccount.com",
			"serviceAccount:service-123456789012@gs-project-accounts.iam.gserviceaccount.com",
		}, keyUsers(t, cloud), "in a project where nothing has needed them yet")
		assert.Equal(t, map[string]int{"secretmanager.googleapis.com": 2, "storage.googleapis.com": 1}, audited(t, cloud))
		enginetest.Settled(t, stack)
	})
	t.Run("logs are kept longer, and more may be spent, in place", func(t *testing.T) {
		settings["berth:logBucket"] = map[string]any{"enabled": true, "retentionDays": 365}
		settings["berth:budget"].(map[string]any)["amount"] = 100
		stack := enginetest.Shared(t, cloud, dir, settings)
		outputs, changed := enginetest.Up(t, stack)
		assert.Equal(t, map[string]int{"update": 2}, changed)
		assert.Equal(t, "projects/"+enginetest.Project+"/locations/europe-west1/buckets/berth", outputs["logBucket"].Value)
		enginetest.Settled(t, stack)
	})
	t.Run("another address changes its channel in place, and its id stays", func(t *testing.T) {
		before, _ := enginetest.Up(t, enginetest.Shared(t, cloud, dir, settings))
		settings["berth:sharedChannels"].(map[string]any)["operators"] = map[string]any{"email": "on-call@example.com"}
		stack := enginetest.Shared(t, cloud, dir, settings)
		after, changed := enginetest.Up(t, stack)
		assert.Equal(t, map[string]int{"update": 1}, changed)
		assert.Equal(t, before["channels"].Value, after["channels"].Value, "clients' settings name it")
		enginetest.Settled(t, stack)
	})
	t.Run("another repository replaces it and the grant on it", func(t *testing.T) {
		settings["berth:sharedRepository"] = map[string]any{"name": "servers", "keep": 3}
		_, changed := enginetest.Up(t, enginetest.Shared(t, cloud, dir, settings))
		assert.Equal(t, map[string]int{"replace": 2}, changed)
	})
	t.Run("what is turned off is deleted", func(t *testing.T) {
		off := map[string]any{
			"berth:sharedRepository": map[string]any{"enabled": false},
			"berth:auditLogs":        []any{},
		}
		maps.Copy(off, enginetest.Quota())
		_, changed := enginetest.Up(t, enginetest.Shared(t, cloud, dir, off))
		assert.Equal(t, map[string]int{"delete": changed["delete"]}, changed)
		assert.Empty(t, cloud.Inventory())
		assert.Empty(t, keyUsers(t, cloud))
		assert.Empty(t, audited(t, cloud))
	})
	t.Run("destroy leaves nothing but enabled APIs", func(t *testing.T) {
		// The name of a log bucket that was deleted is blocked for seven days.
		settings["berth:logBucket"] = map[string]any{"enabled": true, "name": "berth-again"}
		stack := enginetest.Shared(t, cloud, dir, settings)
		enginetest.Up(t, stack)
		enginetest.Destroyed(t, cloud, stack)
		assert.Contains(t, cloud.EnabledServices(enginetest.Project), "cloudkms.googleapis.com")
	})
}

// This is why the project has a stack: the grant on the key is one and the same for
// all clients, as the repository is, and the first to go would take it from the rest.
func TestAClientThatGoesTakesNothingOfTheProjectFromAnother(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	const repository = "projects/" + enginetest.Project + "/locations/europe-west1/repositories/berth"
	encrypted := map[string]any{"berth:kmsKey": enginetest.Key, "berth:repository": repository}
	shared := enginetest.Shared(t, cloud, dir, map[string]any{
		"berth:encryptionKeys": []map[string]any{{"key": enginetest.Key, "agents": []string{"run"}}},
	})
	enginetest.Up(t, shared)
	acme, globex := enginetest.Stack(t, cloud, dir, "acme", encrypted), enginetest.Stack(t, cloud, dir, "globex", encrypted)
	enginetest.Up(t, acme)
	enginetest.Up(t, globex)

	_, err := acme.Destroy(t.Context())
	require.NoError(t, err)
	assert.Contains(t, keyUsers(t, cloud), runAgent)
	assert.Contains(t, cloud.Inventory(), "//artifactregistry.googleapis.com/"+repository)
	enginetest.Settled(t, shared)
	enginetest.Settled(t, globex)
	encrypted["berth:memory"] = "1Gi"
	_, changed := enginetest.Up(t, enginetest.Stack(t, cloud, dir, "globex", encrypted))
	assert.Equal(t, map[string]int{"update": 1}, changed, "Cloud Run still may use the key")
}
