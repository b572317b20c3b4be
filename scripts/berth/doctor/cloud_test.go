package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	resourcemanager "google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/serviceusage/v1"
)

const (
	project  = "acme-prod"
	operator = "operator@example.com"
	deployer = "deployer@example.com"
)

// startCloud starts a local cloud with the project, in which only Service Usage and
// the like are on.
func startCloud(t *testing.T, change func(*localcloud.Options)) *localcloud.Cloud {
	t.Helper()
	o := localcloud.Options{
		Dir:            t.TempDir(),
		Projects:       map[string]int64{project: 123456789012},
		Operator:       operator,
		BillingAccount: "012345-6789AB-CDEF01",
	}
	if change != nil {
		change(&o)
	}
	cloud, err := localcloud.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cloud.Close()) })
	require.NoError(t, cloud.Directory().AddPerson(deployer))
	return cloud
}

// acme is a client's stack on the cloud, deployed by somebody.
func acme(t *testing.T, cloud *localcloud.Cloud, who string, changes map[string]any) stack {
	t.Helper()
	settings := map[string]any{"gcp:project": project, "gcp:region": "europe-west1", "berth:developers": []any{"group:acme-developers@example.com"}}
	for key, value := range cloud.ProviderConfig() {
		settings[key] = value
	}
	token, err := cloud.Directory().AccessToken(who)
	require.NoError(t, err)
	settings["gcp:accessToken"] = token
	maps.Copy(settings, changes)
	return stack{name: "acme", settings: settings}
}

// clientOptions are those of a client that acts as the owner.
func clientOptions(cloud *localcloud.Cloud) []option.ClientOption {
	config := cloud.ProviderConfig()
	return []option.ClientOption{
		option.WithEndpoint(config["gcp:resourceManagerCustomEndpoint"]),
		option.WithHTTPClient(oauth2.NewClient(context.Background(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: config["gcp:accessToken"]}))),
	}
}

func enable(t *testing.T, cloud *localcloud.Cloud, apis ...string) {
	t.Helper()
	services, err := serviceusage.NewService(t.Context(), clientOptions(cloud)...)
	require.NoError(t, err)
	for _, api := range apis {
		_, err := services.Services.Enable("projects/"+project+"/services/"+api+".googleapis.com", &serviceusage.EnableServiceRequest{}).Do()
		require.NoError(t, err)
	}
}

func grant(t *testing.T, cloud *localcloud.Cloud, member string, roles ...string) {
	t.Helper()
	projects, err := resourcemanager.NewService(t.Context(), clientOptions(cloud)...)
	require.NoError(t, err)
	policy, err := projects.Projects.GetIamPolicy(project, &resourcemanager.GetIamPolicyRequest{}).Do()
	require.NoError(t, err)
	for _, role := range roles {
		policy.Bindings = append(policy.Bindings, &resourcemanager.Binding{Role: role, Members: []string{member}})
	}
	_, err = projects.Projects.SetIamPolicy(project, &resourcemanager.SetIamPolicyRequest{Policy: policy}).Do()
	require.NoError(t, err)
}

// look gives what the doctor finds of a stack.
func look(t *testing.T, s stack) []finding {
	t.Helper()
	var out bytes.Buffer
	r := newReport(&out, false)
	require.NoError(t, examine(t.Context(), s, r))
	t.Log("\n" + out.String())
	assert.NotContains(t, out.String(), s.text("gcp:accessToken"), "a token is in no report")
	return r.findings
}

// googles are the findings that are not about this machine.
func googles(findings []finding) map[string]status {
	statuses := map[string]status{}
	for _, f := range findings {
		switch f.Check {
		case "pulumi", "go", "gcloud", "state", "passphrase":
		default:
			if f.Status != ok || statuses[f.Check] == "" {
				statuses[f.Check] = f.Status
			}
		}
	}
	return statuses
}

var everyAPI = []string{"artifactregistry", "cloudbilling", "cloudresourcemanager", "iam", "orgpolicy", "run", "serviceusage"}

// record stands between the doctor and the cloud, and notes what is asked.
func record(t *testing.T, s stack) (through stack, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var calls []string
	changed := maps.Clone(s.settings)
	for key, value := range s.settings {
		address, _ := value.(string)
		if !strings.HasSuffix(key, "CustomEndpoint") {
			continue
		}
		to, err := url.Parse(address)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: to.Scheme, Host: to.Host})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			calls = append(calls, r.Method+" "+r.URL.Path)
			mu.Unlock()
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		changed[key] = server.URL + to.Path
	}
	s.settings = changed
	return s, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return calls
	}
}

func post(t *testing.T, client *http.Client, address string, body any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(t, err)
	postText(t, client, address, string(encoded))
}

func postText(t *testing.T, client *http.Client, address, body string) {
	t.Helper()
	response, err := client.Post(address, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", answer)
}
