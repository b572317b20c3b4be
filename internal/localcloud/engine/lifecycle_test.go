package engine_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/berth-mcp/berth/infra/client"
	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestAClientGoesUpChangesAndLeavesNothing(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	stack := enginetest.Stack(t, cloud, dir, "acme", nil)

	preview, err := stack.Preview(t.Context(), optpreview.SuppressProgress())
	require.NoError(t, err)
	assert.Positive(t, preview.ChangeSummary["create"])
	require.Empty(t, cloud.Inventory(), "a preview creates nothing")

	outputs, changed := enginetest.Up(t, stack)
	assert.Equal(t, map[string]int{"create": changed["create"]}, changed)
	assert.Equal(t, []any{"group:" + enginetest.AcmeGroup}, outputs["developers"].Value)
	assert.Contains(t, outputs["image"].Value, cloud.RegistryHost()+"/"+enginetest.Project+"/berth-acme/server@sha256:")
	assert.Equal(t, "projects/"+enginetest.Project+"/locations/europe-west1/services/berth-acme", outputs["service"].Value)
	assert.Equal(t, []any{"gcloud auth application-default login", "berth-proxy acme=" + outputs["url"].Value.(string)}, outputs["connect"].Value)

	t.Run("a second up has nothing to do", func(t *testing.T) {
		_, changed := enginetest.Up(t, stack)
		assert.Empty(t, changed)
	})
	t.Run("a refresh finds nothing changed", func(t *testing.T) {
		assert.Empty(t, enginetest.Refresh(t, stack))
		_, changed := enginetest.Up(t, stack)
		assert.Empty(t, changed)
	})
	t.Run("another size updates the service alone", func(t *testing.T) {
		_, changed := enginetest.Up(t, enginetest.Stack(t, cloud, dir, "acme", map[string]any{"berth:memory": "1Gi", "berth:maxInstances": 5}))
		assert.Equal(t, map[string]int{"update": 1}, changed)
		assert.Empty(t, enginetest.Refresh(t, stack))
	})
	larger := map[string]any{"berth:memory": "1Gi", "berth:maxInstances": 5}
	t.Run("another developer updates the binding alone", func(t *testing.T) {
		larger["berth:developers"] = []string{"group:" + enginetest.AcmeGroup, "user:ada@example.com"}
		outputs, changed := enginetest.Up(t, enginetest.Stack(t, cloud, dir, "acme", larger))
		assert.Equal(t, map[string]int{"update": 1}, changed)
		assert.Equal(t, []string{"group:" + enginetest.AcmeGroup, "user:ada@example.com"}, cloud.Invokers(outputs["service"].Value.(string)))
	})
	t.Run("what was opened by hand is closed by the next up", func(t *testing.T) {
		service := outputs["service"].Value.(string)
		require.NoError(t, cloud.Directory().AddPerson("mallory@example.com"))
		byHand(t, cloud, func(ctx context.Context, services *run.ServicesClient) error {
			return grant(ctx, services, service, "user:mallory@example.com", "allUsers")
		})
		require.Contains(t, cloud.Invokers(service), "allUsers")
		_, changed := enginetest.Up(t, stack)
		assert.Equal(t, map[string]int{"update": 1}, changed)
		assert.NotContains(t, cloud.Invokers(service), "user:mallory@example.com")
		assert.NotContains(t, cloud.Invokers(service), "allUsers")

		byHand(t, cloud, func(ctx context.Context, services *run.ServicesClient) error {
			open, err := services.GetService(ctx, &runpb.GetServiceRequest{Name: service})
			if err != nil {
				return err
			}
			open.InvokerIamDisabled = true
			operation, err := services.UpdateService(ctx, &runpb.UpdateServiceRequest{Service: open})
			if err != nil {
				return err
			}
			_, err = operation.Wait(ctx)
			return err
		})
		_, changed = enginetest.Up(t, stack)
		assert.Equal(t, map[string]int{"update": 1}, changed)
		byHand(t, cloud, func(ctx context.Context, services *run.ServicesClient) error {
			closed, err := services.GetService(ctx, &runpb.GetServiceRequest{Name: service})
			assert.False(t, closed.GetInvokerIamDisabled())
			return err
		})
	})
	t.Run("another name replaces what is named", func(t *testing.T) {
		larger["berth:client"] = "umbrella"
		outputs, changed := enginetest.Up(t, enginetest.Stack(t, cloud, dir, "acme", larger))
		assert.Equal(t, "projects/"+enginetest.Project+"/locations/europe-west1/services/berth-umbrella", outputs["service"].Value)
		assert.Equal(t, 5, changed["replace"], "place, account, repository, service and binding: %v", changed)
		for _, name := range cloud.Inventory() {
			assert.NotContains(t, name, "berth-acme")
		}
	})
	t.Run("destroy leaves nothing but enabled APIs", func(t *testing.T) {
		enginetest.Destroyed(t, cloud, stack)
		assert.Empty(t, cloud.Instances("projects/"+enginetest.Project+"/locations/europe-west1/services/berth-umbrella"))
		assert.Equal(t, []string{"artifactregistry.googleapis.com", "iam.googleapis.com", "run.googleapis.com"}, cloud.EnabledServices(enginetest.Project))
	})
}

// byHand does what an operator in a hurry does in the console.
func byHand(t *testing.T, cloud *localcloud.Cloud, do func(context.Context, *run.ServicesClient) error) {
	t.Helper()
	config := cloud.ProviderConfig()
	authorized := &http.Client{Transport: enginetest.Bearer(config["gcp:accessToken"])}
	services, err := run.NewServicesRESTClient(t.Context(), option.WithHTTPClient(authorized),
		option.WithEndpoint(strings.TrimSuffix(config["gcp:cloudRunV2CustomEndpoint"], "/v2/")))
	require.NoError(t, err)
	defer services.Close()
	require.NoError(t, do(t.Context(), services))
}

func grant(ctx context.Context, services *run.ServicesClient, service string, members ...string) error {
	policy, err := services.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: service})
	if err != nil {
		return err
	}
	for _, binding := range policy.GetBindings() {
		if binding.GetRole() == "roles/run.invoker" {
			binding.Members = append(binding.Members, members...)
		}
	}
	_, err = services.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: service, Policy: policy})
	return err
}

func TestOnlyAChangedSourceIsDeployed(t *testing.T) {
	cloud, dir, source := enginetest.StartCloud(t), t.TempDir(), t.TempDir()
	program := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(source, "main.go"), []byte(`package main

import (
	"net/http"
	"os"
)

func main() {
	_ = http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("`+text+`"))
	}))
}
`), 0o644))
	}
	require.NoError(t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example.com/tiny\n\ngo 1.24\n"), 0o644))
	program("one")
	changes := map[string]any{"berth:build": source}
	first, _ := enginetest.Up(t, enginetest.Stack(t, cloud, dir, "acme", changes))

	require.NoError(t, os.WriteFile(filepath.Join(source, "README"), []byte("not part of the program"), 0o644))
	_, changed := enginetest.Up(t, enginetest.Stack(t, cloud, dir, "acme", changes))
	assert.Empty(t, changed, "the program is the same")

	program("two")
	stack := enginetest.Stack(t, cloud, dir, "acme", changes)
	images := cloud.Inventory()
	preview, err := stack.Preview(t.Context(), optpreview.SuppressProgress())
	require.NoError(t, err)
	assert.Equal(t, 1, preview.ChangeSummary["update"])
	assert.Equal(t, images, cloud.Inventory(), "a preview pushes nothing")

	second, changed := enginetest.Up(t, stack)
	assert.Equal(t, map[string]int{"update": 1}, changed)
	assert.NotEqual(t, first["image"].Value, second["image"].Value)
	assert.Equal(t, first["url"].Value, second["url"].Value)
}

func TestAWrongConfigurationChangesNothingAndSaysEverything(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	stack := enginetest.Stack(t, cloud, t.TempDir(), "acme", map[string]any{
		"berth:developers": []string{"allUsers"},
		"berth:memory":     "lots",
	})
	_, err := stack.Up(t.Context())
	require.ErrorContains(t, err, "berth:developers")
	require.ErrorContains(t, err, "berth:memory")
	assert.Empty(t, cloud.Inventory())
}

func TestAServerThatDoesNotStartFailsTheUpdateWithItsOwnWords(t *testing.T) {
	cloud, source := enginetest.StartCloud(t), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "go.mod"), []byte("module example.com/broken\n\ngo 1.24\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(source, "main.go"), []byte("package main\n\nfunc main() { panic(\"no database configured\") }\n"), 0o644))
	stack := enginetest.Stack(t, cloud, t.TempDir(), "acme", map[string]any{"berth:build": source})

	_, err := stack.Up(t.Context())
	require.ErrorContains(t, err, "failed to start and listen on the port")
	require.ErrorContains(t, err, "no database configured")

	_, err = stack.Destroy(t.Context())
	require.NoError(t, err, "a failed update can be taken down")
	assert.Empty(t, cloud.Inventory())
}

func TestDeletionProtectionHoldsUntilItIsLifted(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	enginetest.Up(t, enginetest.Stack(t, cloud, dir, "acme", map[string]any{"berth:deletionProtection": true}))
	stack := enginetest.Stack(t, cloud, dir, "acme", nil)
	before := cloud.Inventory()
	_, err := stack.Destroy(t.Context())
	require.ErrorContains(t, err, "berth-guard")
	require.ErrorContains(t, err, "protected")
	require.Equal(t, before, cloud.Inventory(), "nothing was deleted")

	enginetest.Up(t, stack)
	enginetest.Destroyed(t, cloud, stack)
}

func TestNothingRunsUnlessTheEngineIsAttachedToThisCloud(t *testing.T) {
	mine, another := enginetest.StartCloud(t), enginetest.StartCloud(t)
	stack, err := engine.New(t.Context(), engine.Options{
		Pulumi:  enginetest.Pulumi,
		Cloud:   misled{Cloud: mine, port: another.ProviderPort()},
		Dir:     t.TempDir(),
		Project: filepath.Join(enginetest.Root, "Pulumi.yaml"),
		Stack:   "acme",
		Config:  enginetest.Config(mine, nil),
		Program: client.Stack,
	})
	require.NoError(t, err)

	_, err = stack.Up(t.Context())
	require.ErrorContains(t, err, "not attached to the local cloud")
	assert.Empty(t, mine.Inventory())
	assert.Empty(t, another.Inventory())
}

// misled is a cloud whose engine attaches to another provider than its own.
type misled struct {
	engine.Cloud
	port int
}

func (m misled) ProviderPort() int { return m.port }
