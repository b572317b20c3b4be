package apis_test

import (
	"net/http"
	"strings"
	"testing"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

func TestNewSaysEverythingThatIsMissing(t *testing.T) {
	_, err := apis.New(apis.Options{})
	for _, field := range []string{"Platform", "ServiceAccounts", "Authenticate", "MemberExists", "Allows", "Projects", "Owners", "RegistryHost"} {
		assert.ErrorContains(t, err, "apis.Options."+field+" is required")
	}
}

// calls has one of each API.
var calls = map[string]struct{ method, path, body string }{
	"Cloud Run":         {http.MethodGet, "/v2/" + parent + "/services", ""},
	"IAM":               {http.MethodGet, "/v1/projects/acme-dev/serviceAccounts", ""},
	"Artifact Registry": {http.MethodGet, "/v1/" + parent + "/repositories", ""},
	"Service Usage":     {http.MethodGet, "/v1/projects/acme-dev/services", ""},
	"Resource Manager":  {http.MethodGet, "/v1/projects/acme-dev", ""},
	"operations":        {http.MethodGet, "/v1/operations/x", ""},
	"a path of no API":  {http.MethodGet, "/v9/nothing", ""},
}

func TestNobodyGetsInWithoutAGoodToken(t *testing.T) {
	c := newCloud(t)
	for title, call := range calls {
		for _, token := range []string{"", "forged"} {
			t.Run(title+" with token "+token, func(t *testing.T) {
				a := c.as(t, token, call.method, call.path, call.body)
				problem, message := a.problem()
				assert.Equal(t, http.StatusUnauthorized, a.code)
				assert.Equal(t, "UNAUTHENTICATED", problem["status"])
				assert.Equal(t, 401.0, problem["code"])
				assert.Contains(t, message, "Request had invalid authentication credentials.")
				assert.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
				assert.NotContains(t, a.text, "forged")
			})
		}
	}
	t.Run("two tokens at once", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1/projects/acme-dev", nil)
		require.NoError(t, err)
		req.Header["Authorization"] = []string{"Bearer owner-token", "Bearer owner-token"}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	})
	t.Run("over gRPC", func(t *testing.T) {
		for _, token := range []string{"", "forged"} {
			client, err := run.NewServicesClient(t.Context(), c.grpcOptions(token)...)
			require.NoError(t, err)
			_, err = client.GetService(t.Context(), &runpb.GetServiceRequest{Name: parent + "/services/portal"})
			assert.Equal(t, codes.Unauthenticated, status.Code(err))
			require.NoError(t, client.Close())
		}
	})
}

func TestWhoeverIsGrantedNothingIsDenied(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	for title, want := range map[string]struct{ method, path, body, permission, resource string }{
		"reading":       {http.MethodGet, servicePath, "", "run.services.get", parent + "/services/portal"},
		"creating":      {http.MethodPost, "/v2/" + parent + "/services?serviceId=x", portal(image), "run.services.create", parent},
		"updating":      {http.MethodPatch, servicePath, portal(image), "run.services.update", parent + "/services/portal"},
		"deleting":      {http.MethodDelete, servicePath, "", "run.services.delete", parent + "/services/portal"},
		"granting":      {http.MethodPost, servicePath + ":setIamPolicy", `{"policy":{}}`, "run.services.setIamPolicy", parent + "/services/portal"},
		"an account":    {http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`, "iam.serviceAccounts.create", "projects/acme-dev"},
		"a repository":  {http.MethodDelete, "/v1/" + parent + "/repositories/images", "", "artifactregistry.repositories.delete", parent + "/repositories/images"},
		"disabling":     {http.MethodPost, "/v1/projects/acme-dev/services/run.googleapis.com:disable", `{}`, "serviceusage.services.disable", "projects/acme-dev/services/run.googleapis.com"},
		"an operation":  {http.MethodGet, "/v1/operations/x", "", "operations.get", "operations/x"},
		"all revisions": {http.MethodGet, servicePath + "/revisions", "", "run.revisions.list", parent + "/services/portal"},
	} {
		t.Run(title, func(t *testing.T) {
			a := c.as(t, "stranger-token", want.method, want.path, want.body)
			problem, message := a.problem()
			assert.Equal(t, http.StatusForbidden, a.code, a.text)
			assert.Equal(t, "PERMISSION_DENIED", problem["status"])
			assert.Equal(t, "Permission '"+want.permission+"' denied on resource '"+want.resource+"' (or it may not exist).", message)
			info := problem["details"].([]any)[0].(map[string]any)
			assert.Equal(t, "type.googleapis.com/google.rpc.ErrorInfo", info["@type"])
			assert.Equal(t, "IAM_PERMISSION_DENIED", info["reason"])
		})
	}
	_, message := c.as(t, "stranger-token", http.MethodGet, "/v1/projects/acme-dev", "").problem()
	assert.Equal(t, "The caller does not have permission", message)
	assert.Len(t, c.apis.Inventory(), 3, "nothing was changed")
}

func TestAnAPIMustBeEnabledFirst(t *testing.T) {
	c := newCloud(t)
	for title, want := range map[string]struct{ path, api, sentence string }{
		"Cloud Run":         {"/v2/" + parent + "/services", "run.googleapis.com", "Cloud Run Admin API has not been used in project 123456789012 before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=123456789012 then retry."},
		"IAM":               {"/v1/projects/acme-dev/serviceAccounts", "iam.googleapis.com", "Identity and Access Management (IAM) API has not been used in project 123456789012 before or it is disabled."},
		"Artifact Registry": {"/v1/" + parent + "/repositories", "artifactregistry.googleapis.com", "Artifact Registry API has not been used in project 123456789012 before or it is disabled."},
	} {
		t.Run(title, func(t *testing.T) {
			a := c.call(t, http.MethodGet, want.path, "")
			problem, message := a.problem()
			assert.Equal(t, http.StatusForbidden, a.code)
			assert.True(t, strings.HasPrefix(message, want.sentence), message)
			assert.Contains(t, a.text, `"SERVICE_DISABLED"`)
			assert.Equal(t, "PERMISSION_DENIED", problem["status"])
			c.enable(t, want.api)
			assert.Equal(t, http.StatusOK, c.call(t, http.MethodGet, want.path, "").code)
			c.must(t, http.MethodPost, "/v1/projects/acme-dev/services/"+want.api+":disable", `{}`)
			assert.Equal(t, http.StatusForbidden, c.call(t, http.MethodGet, want.path, "").code)
		})
	}
}

func TestAProjectThatIsNotThereIsNobodysToSee(t *testing.T) {
	c, _ := newReadyCloud(t)
	for _, path := range []string{"/v2/projects/nowhere/locations/europe-west1/services", "/v1/projects/nowhere/services", "/v1/projects/nowhere"} {
		assert.Equal(t, http.StatusForbidden, c.call(t, http.MethodGet, path, "").code, path)
	}
}

func TestAProjectIsKnownByIDAndByNumber(t *testing.T) {
	c, image := newReadyCloud(t)
	for _, key := range []string{"acme-dev", "123456789012"} {
		got := c.must(t, http.MethodGet, "/v1/projects/"+key, "")
		assert.Equal(t, "acme-dev", got["projectId"])
		assert.Equal(t, "123456789012", got["projectNumber"])
		assert.Equal(t, "ACTIVE", got["lifecycleState"])
	}
	c.deploy(t, portal(image))
	got := c.must(t, http.MethodGet, "/v2/projects/123456789012/locations/europe-west1/services/portal", "")
	assert.Equal(t, parent+"/services/portal", got["name"])
}

func TestOwnersHoldEveryPermissionAndOthersNone(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`)
	for path, permission := range map[string]string{
		servicePath:                              "run.services.setIamPolicy",
		"/v1/" + parent + "/repositories/images": "artifactregistry.repositories.uploadArtifacts",
		"/v1/projects/acme-dev/serviceAccounts/portal@acme-dev.iam.gserviceaccount.com": "iam.serviceAccounts.actAs",
	} {
		body := `{"permissions":["` + permission + `","no.such.permission"]}`
		assert.Equal(t, map[string]any{"permissions": []any{permission}}, c.must(t, http.MethodPost, path+":testIamPermissions", body))
		assert.Empty(t, c.as(t, "stranger-token", http.MethodPost, path+":testIamPermissions", body).body)
	}
}
