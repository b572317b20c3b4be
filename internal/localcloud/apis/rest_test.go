package apis_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRESTErrorsAreShapedAsGoogles(t *testing.T) {
	c, image := newReadyCloud(t)
	services := "/v2/" + parent + "/services?serviceId=portal"
	for _, tt := range []struct {
		title, method, path, body string
		code                      int
		status                    string
		message                   []string
	}{
		{"a name that a service does not have", http.MethodPost, services, `{"nam":"x","template":{"container":[]}}`, 400, "INVALID_ARGUMENT", []string{
			`Invalid JSON payload received. Unknown name "nam" at 'service': Cannot find field.`,
			`Invalid JSON payload received. Unknown name "container" at 'service.template': Cannot find field.`}},
		{"a name deep in a list", http.MethodPost, services, `{"template":{"containers":[{"image":"` + image + `","envs":[]}]}}`, 400, "INVALID_ARGUMENT", []string{
			`Unknown name "envs" at 'service.template.containers[0]': Cannot find field.`}},
		{"a name that a request does not have", http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"id":"x"}`, 400, "INVALID_ARGUMENT", []string{
			`Invalid JSON payload received. Unknown name "id": Cannot find field.`}},
		{"a value of the wrong type", http.MethodPost, services, `{"template":{"timeout":300}}`, 400, "INVALID_ARGUMENT", []string{"Invalid JSON payload received."}},
		{"an unknown enum value", http.MethodPost, services, `{"ingress":"OPEN"}`, 400, "INVALID_ARGUMENT", []string{"OPEN"}},
		{"no JSON at all", http.MethodPost, services, `{`, 400, "INVALID_ARGUMENT", []string{"Invalid JSON payload received."}},
		{"an unknown query parameter", http.MethodGet, "/v2/" + parent + "/services?colour=red", "", 400, "INVALID_ARGUMENT", []string{"colour"}},
		{"nothing there", http.MethodGet, servicePath, "", 404, "NOT_FOUND", []string{"Resource 'portal' of kind 'SERVICE' in region 'europe-west1' in project 'acme-dev' does not exist."}},
		{"an operation that is not there", http.MethodGet, "/v2/" + parent + "/operations/x", "", 404, "NOT_FOUND", []string{"was not found"}},
		{"a region that is none", http.MethodGet, "/v2/projects/acme-dev/locations/mars/services", "", 400, "INVALID_ARGUMENT", []string{"Location mars"}},
		{"a path of no API", http.MethodGet, "/v2/nothing", "", 404, "NOT_FOUND", []string{"no GET /v2/nothing"}},
		{"a method of no API", http.MethodPut, servicePath, "{}", 501, "UNIMPLEMENTED", nil},
		{"a method that is not served here", http.MethodGet, "/v1/roles", "", 501, "UNIMPLEMENTED", []string{"the local cloud does not have /google.iam.admin.v1.IAM/ListRoles"}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			a := c.call(t, tt.method, tt.path, tt.body)
			problem, message := a.problem()
			assert.Equal(t, tt.code, a.code, a.text)
			assert.EqualValues(t, tt.code, problem["code"])
			assert.Equal(t, tt.status, problem["status"])
			assert.Equal(t, "application/json; charset=UTF-8", a.header.Get("Content-Type"))
			for _, part := range tt.message {
				assert.Contains(t, message, part)
			}
		})
	}
}

func TestSystemParametersChangeNothing(t *testing.T) {
	c, _ := newReadyCloud(t)
	c.must(t, http.MethodGet, "/v2/"+parent+"/services?alt=json&prettyPrint=false&%24alt=json%3Benum-encoding%3Dint&fields=services%2Fname&key=k&quotaUser=q&%24.xgafv=2&pageSize=5", "")
}

func TestSnakeCaseAndCamelCaseMeanTheSame(t *testing.T) {
	c, image := newReadyCloud(t)
	op := c.must(t, http.MethodPost, "/v2/"+parent+"/services?service_id=portal",
		`{"custom_audiences":["https://portal.example"],"template":{"max_instance_request_concurrency":7,"containers":[{"image":"`+image+`"}]}}`)
	got := c.succeeded(t, "v2", op)
	assert.Equal(t, []any{"https://portal.example"}, got["customAudiences"])
	assert.Equal(t, 7.0, got["template"].(map[string]any)["maxInstanceRequestConcurrency"])
}

func TestAContentTypeMayNameItsCharset(t *testing.T) {
	c := newCloud(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/projects/acme-dev/services/run.googleapis.com:enable", strings.NewReader("{}"))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer owner-token")
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestARequestThatIsTooLargeIsRefused(t *testing.T) {
	c := newCloud(t)
	c.enable(t, "run.googleapis.com")
	huge := `{"description":"` + strings.Repeat("x", 5<<20) + `"}`
	t.Run("of a size told ahead", func(t *testing.T) {
		a := c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal", huge)
		_, message := a.problem()
		assert.Equal(t, http.StatusBadRequest, a.code)
		assert.Equal(t, "Request payload size exceeds the limit: 4194304 bytes.", message)
	})
	t.Run("of a size that shows on the way", func(t *testing.T) {
		body := struct{ *strings.Reader }{strings.NewReader(huge)} // no length
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v2/"+parent+"/services?serviceId=portal", body)
		require.NoError(t, err)
		req.ContentLength = -1
		req.Header.Set("Authorization", "Bearer owner-token")
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode)
	})
}
