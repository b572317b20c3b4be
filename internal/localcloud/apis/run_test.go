package apis_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const servicePath = "/v2/" + parent + "/services/portal"

func portal(image string) string {
	return fmt.Sprintf(`{"template":{"containers":[{"image":%q}]}}`, image)
}

func (c *cloud) deploy(t *testing.T, body string) map[string]any {
	t.Helper()
	return c.succeeded(t, "v2", c.must(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", body))
}

func TestAnOfficialClientRunsAServiceFromCreateToDelete(t *testing.T) {
	clients := map[string]func(context.Context, *cloud) (*run.ServicesClient, error){
		"over gRPC": func(ctx context.Context, c *cloud) (*run.ServicesClient, error) {
			return run.NewServicesClient(ctx, c.grpcOptions("owner-token")...)
		},
		"over REST": func(ctx context.Context, c *cloud) (*run.ServicesClient, error) {
			return run.NewServicesRESTClient(ctx, c.restOptions("owner-token")...)
		},
	}
	for title, connect := range clients {
		t.Run(title, func(t *testing.T) {
			ctx := t.Context()
			c, image := newReadyCloud(t)
			client, err := connect(ctx, c)
			require.NoError(t, err)
			defer client.Close()

			create, err := client.CreateService(ctx, &runpb.CreateServiceRequest{
				Parent: parent, ServiceId: "portal",
				Service: &runpb.Service{Template: &runpb.RevisionTemplate{Containers: []*runpb.Container{{Image: image}}}},
			})
			require.NoError(t, err)
			created, err := create.Wait(ctx)
			require.NoError(t, err)
			assert.Equal(t, parent+"/services/portal", created.GetName())
			assert.Equal(t, owner, created.GetCreator())
			assert.Equal(t, int64(1), created.GetObservedGeneration())
			assert.Equal(t, runpb.Condition_CONDITION_SUCCEEDED, created.GetTerminalCondition().GetState())
			assert.Regexp(t, `/revisions/portal-00001-[a-z]{3}$`, created.GetLatestReadyRevision())
			assert.Equal(t, "http://127.0.0.1:1/"+parent+"/services/portal", created.GetUri())
			assert.Equal(t, []string{created.GetUri()}, created.GetUrls())

			created.Template.Timeout.Seconds = 3600
			update, err := client.UpdateService(ctx, &runpb.UpdateServiceRequest{Service: created})
			require.NoError(t, err)
			updated, err := update.Wait(ctx)
			require.NoError(t, err)
			assert.Regexp(t, `/revisions/portal-00002-[a-z]{3}$`, updated.GetLatestReadyRevision())
			assert.Equal(t, created.GetUid(), updated.GetUid())

			listed, err := client.ListServices(ctx, &runpb.ListServicesRequest{Parent: parent}).Next()
			require.NoError(t, err)
			assert.Equal(t, updated.GetEtag(), listed.GetEtag())

			del, err := client.DeleteService(ctx, &runpb.DeleteServiceRequest{Name: created.GetName(), Etag: updated.GetEtag()})
			require.NoError(t, err)
			gone, err := del.Wait(ctx)
			require.NoError(t, err)
			assert.NotNil(t, gone.GetDeleteTime())
			_, err = client.GetService(ctx, &runpb.GetServiceRequest{Name: created.GetName()})
			assert.ErrorContains(t, err, "Resource 'portal' of kind 'SERVICE' in region 'europe-west1' in project 'acme-dev' does not exist.")
			assert.Equal(t, []string{parent + "/services/portal"}, c.platform.removed)
		})
	}
}

func TestAServiceReadsWholeWhenOnlyAnImageWasGiven(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, portal(image))

	template := got["template"].(map[string]any)
	container := template["containers"].([]any)[0].(map[string]any)
	assert.Equal(t, "INGRESS_TRAFFIC_ALL", got["ingress"])
	assert.Equal(t, "GA", got["launchStage"])
	assert.Equal(t, []any{map[string]any{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100.0}}, got["traffic"])
	assert.Equal(t, got["traffic"], got["trafficStatuses"])
	assert.Equal(t, "300s", template["timeout"])
	assert.Equal(t, 80.0, template["maxInstanceRequestConcurrency"])
	assert.Equal(t, map[string]any{"maxInstanceCount": 100.0}, template["scaling"])
	assert.Equal(t, "123456789012-compute@developer.gserviceaccount.com", template["serviceAccount"])
	assert.Equal(t, map[string]any{"limits": map[string]any{"cpu": "1000m", "memory": "512Mi"}, "cpuIdle": true}, container["resources"])
	assert.Equal(t, []any{map[string]any{"name": "http1", "containerPort": 8080.0}}, container["ports"])
	assert.Equal(t, map[string]any{
		"timeoutSeconds": 240.0, "periodSeconds": 240.0, "failureThreshold": 1.0, "tcpSocket": map[string]any{"port": 8080.0},
	}, container["startupProbe"])
	assert.NotContains(t, got, "scaling")
	assert.NotContains(t, got, "invokerIamDisabled", "empty fields are left out")
}

func TestEveryFieldOfAStackComesBackAsItWasGiven(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, `{"labels":{"client":"acme"},"annotations":{"team":"x"},"ingress":"INGRESS_TRAFFIC_INTERNAL_ONLY",
		"binaryAuthorization":{"useDefault":true},"customAudiences":["https://mcp.acme.example"],
		"scaling":{"scalingMode":"MANUAL","manualInstanceCount":0},
		"template":{"labels":{"client":"acme"},"annotations":{"team":"x"},"sessionAffinity":true,
			"executionEnvironment":"EXECUTION_ENVIRONMENT_GEN2",
			"vpcAccess":{"networkInterfaces":[{"subnetwork":"inside","tags":["mcp"]}]},
			"containers":[{"image":"`+image+`","resources":{"startupCpuBoost":true,"cpuIdle":true}}]}}`)
	assert.Equal(t, map[string]any{"useDefault": true}, got["binaryAuthorization"])
	assert.Equal(t, []any{"https://mcp.acme.example"}, got["customAudiences"])
	assert.Equal(t, map[string]any{"scalingMode": "MANUAL", "manualInstanceCount": 0.0}, got["scaling"])
	template := got["template"].(map[string]any)
	assert.Equal(t, map[string]any{
		"egress": "PRIVATE_RANGES_ONLY", "networkInterfaces": []any{map[string]any{"subnetwork": "inside", "tags": []any{"mcp"}}},
	}, template["vpcAccess"], "private ranges alone, unless told")
	assert.Equal(t, map[string]any{"team": "x"}, template["annotations"])
	assert.Equal(t, "EXECUTION_ENVIRONMENT_GEN2", template["executionEnvironment"])
	revision := c.must(t, http.MethodGet, "/v2/"+got["latestReadyRevision"].(string), "")
	assert.Equal(t, template["vpcAccess"], revision["vpcAccess"])
}

func TestAServiceWithoutItsDefaultURLHasNone(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	body := func(disabled bool) string {
		return fmt.Sprintf(`{"defaultUriDisabled":%t,"template":{"containers":[{"image":%q}]}}`, disabled, image)
	}
	hidden := c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath, body(true)))
	assert.NotContains(t, hidden, "uri")
	assert.NotContains(t, hidden, "urls")
	assert.Contains(t, c.succeeded(t, "v2", c.must(t, http.MethodPatch, servicePath, body(false))), "uri")
}

func TestAServicesOwnZeroMinimumIsDropped(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, `{"scaling":{"minInstanceCount":0},"template":{"containers":[{"image":"`+image+`"}]}}`)
	assert.NotContains(t, got, "scaling")
}

func TestWhatOnlyTheAPIFillsInIsIgnoredInRequests(t *testing.T) {
	c, image := newReadyCloud(t)
	got := c.deploy(t, `{"name":"elsewhere","uid":"mine","uri":"https://evil.example","generation":"7","reconciling":true,"creator":"me",
		"template":{"containers":[{"image":"`+image+`","buildInfo":{"functionTarget":"x"}}]}}`)
	assert.Equal(t, parent+"/services/portal", got["name"])
	assert.NotEqual(t, "mine", got["uid"])
	assert.Equal(t, "1", got["generation"])
	assert.Equal(t, owner, got["creator"])
	assert.NotContains(t, got["template"].(map[string]any)["containers"].([]any)[0], "buildInfo")
}
