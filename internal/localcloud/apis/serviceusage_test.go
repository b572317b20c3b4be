package apis_test

import (
	"net/http"
	"testing"

	serviceusage "cloud.google.com/go/serviceusage/apiv1"
	"cloud.google.com/go/serviceusage/apiv1/serviceusagepb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnOfficialClientEnablesAPIs(t *testing.T) {
	ctx := t.Context()
	c := newCloud(t)
	client, err := serviceusage.NewRESTClient(ctx, c.restOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()

	enable, err := client.EnableService(ctx, &serviceusagepb.EnableServiceRequest{Name: "projects/acme-dev/services/run.googleapis.com"})
	require.NoError(t, err)
	enabled, err := enable.Wait(ctx)
	require.NoError(t, err)
	assert.Equal(t, "projects/123456789012/services/run.googleapis.com", enabled.GetService().GetName())
	assert.Equal(t, "Cloud Run Admin API", enabled.GetService().GetConfig().GetTitle())

	batch, err := client.BatchEnableServices(ctx, &serviceusagepb.BatchEnableServicesRequest{
		Parent: "projects/123456789012", ServiceIds: []string{"iam.googleapis.com", "artifactregistry.googleapis.com"}})
	require.NoError(t, err)
	_, err = batch.Wait(ctx)
	require.NoError(t, err)

	var names []string
	for service, err := range client.ListServices(ctx, &serviceusagepb.ListServicesRequest{Parent: "projects/acme-dev", Filter: "state:ENABLED", PageSize: 2}).All() {
		require.NoError(t, err)
		names = append(names, service.GetConfig().GetName())
	}
	want := []string{"artifactregistry.googleapis.com", "iam.googleapis.com", "run.googleapis.com"}
	assert.Equal(t, want, names)
	assert.Equal(t, want, c.apis.EnabledServices("acme-dev"))
	assert.Empty(t, c.apis.EnabledServices("other-dev"))

	disable, err := client.DisableService(ctx, &serviceusagepb.DisableServiceRequest{Name: "projects/acme-dev/services/run.googleapis.com"})
	require.NoError(t, err)
	_, err = disable.Wait(ctx)
	require.NoError(t, err)
	got, err := client.BatchGetServices(ctx, &serviceusagepb.BatchGetServicesRequest{Parent: "projects/acme-dev", Names: []string{
		"projects/acme-dev/services/run.googleapis.com", "projects/acme-dev/services/iam.googleapis.com"}})
	require.NoError(t, err)
	assert.Equal(t, serviceusagepb.State_DISABLED, got.GetServices()[0].GetState())
	assert.Equal(t, serviceusagepb.State_ENABLED, got.GetServices()[1].GetState())
	assert.Empty(t, c.apis.Inventory(), "enabled APIs are no inventory")
}

func TestServiceUsageRefusesWhatItDoesNotKnow(t *testing.T) {
	c := newCloud(t)
	for _, tt := range []struct {
		title, method, path, body string
		code                      int
		message                   string
	}{
		{"an API that is none", http.MethodPost, "/v1/projects/acme-dev/services/teapot.googleapis.com:enable", "{}", 403, "Not found or permission denied for service(s): teapot.googleapis.com."},
		{"a filter that is none", http.MethodGet, "/v1/projects/acme-dev/services?filter=colour:red", "", 400, "it must be state:ENABLED or state:DISABLED"},
		{"an empty batch", http.MethodPost, "/v1/projects/acme-dev/services:batchEnable", "{}", 400, "1 to 20 entries"},
		{"a negative page", http.MethodGet, "/v1/projects/acme-dev/services?pageSize=-1", "", 400, "page_size -1 is negative"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			a := c.call(t, tt.method, tt.path, tt.body)
			_, message := a.problem()
			assert.Equal(t, tt.code, a.code, a.text)
			assert.Contains(t, message, tt.message)
		})
	}
}
