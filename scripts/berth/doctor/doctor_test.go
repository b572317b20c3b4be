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

	"cloud.google.com/go/iam/apiv1/iampb"
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

func TestAnOwnerOfAReadyProjectIsToldThatAllIsWell(t *testing.T) {
	machine(t)
	cloud := startCloud(t, nil)
	enable(t, cloud, everyAPI...)
	assert.Equal(t, map[string]status{
		"login": ok, "project": ok, "billing": ok, "apis": ok, "permissions": ok, "actAs": ok, "sharing": ok, "region": ok,
	}, googles(look(t, acme(t, cloud, operator, nil))))
}

func TestWhatIsMissingIsNamedWithTheCommandThatMendsIt(t *testing.T) {
	tests := map[string]struct {
		cloud func(*localcloud.Options)
		off   []string // APIs
		roles []string // the deployer's
		stack map[string]any
		check string
		want  status
		says  string
		mend  string
	}{
		"nobody pays": {cloud: func(o *localcloud.Options) { o.BillingAccount = "" }, roles: []string{"roles/owner"},
			check: "billing", want: wrong, says: "acme-prod", mend: "gcloud billing projects link acme-prod --billing-account=ACCOUNT"},
		"an API that the stack enables": {off: []string{"artifactregistry"}, roles: []string{"roles/owner"},
			check: "apis", want: warning, says: "artifactregistry.googleapis.com", mend: "gcloud services enable artifactregistry.googleapis.com --project acme-prod"},
		"an API that a stack cannot enable": {off: []string{"cloudresourcemanager"}, roles: []string{"roles/owner"},
			check: "apis", want: wrong, says: "cloudresourcemanager.googleapis.com", mend: "gcloud services enable cloudresourcemanager.googleapis.com --project acme-prod"},
		"billing that cannot be asked about": {off: []string{"cloudbilling"}, roles: []string{"roles/owner"},
			check: "billing", want: warning, says: "cloudbilling.googleapis.com is not enabled", mend: "gcloud services enable cloudbilling.googleapis.com --project 123456789012"},
		"no permission to let people in": {roles: []string{"roles/run.developer", "roles/browser", "roles/serviceusage.serviceUsageAdmin"},
			check: "permissions", want: wrong, says: "run.services.setIamPolicy", mend: "--role=roles/run.admin"},
		"no permission to make accounts": {roles: []string{"roles/run.admin", "roles/browser", "roles/serviceusage.serviceUsageAdmin"},
			check: "permissions", want: wrong, says: "iam.serviceAccounts.create", mend: "--role=roles/iam.serviceAccountAdmin"},
		"no permission to run as an account": {roles: []string{"roles/run.admin", "roles/browser"},
			check: "actAs", want: wrong, says: "iam.serviceAccounts.actAs", mend: "--role=roles/iam.serviceAccountUser"},
		"no permission in the project at all": {roles: nil,
			check: "project", want: wrong, says: "no project acme-prod that this login may see", mend: "gcloud projects create acme-prod"},
		"sharing with another organisation": {cloud: func(o *localcloud.Options) { o.RestrictSharing = true }, roles: []string{"roles/owner"},
			stack: map[string]any{"berth:developers": []any{"group:dev@elsewhere.example"}},
			check: "sharing", want: warning, says: "elsewhere.example", mend: "gcloud org-policies describe iam.allowedPolicyMemberDomains --effective --project acme-prod"},
		"a region that is none": {roles: []string{"roles/owner"}, stack: map[string]any{"gcp:region": "atlantis-west1"},
			check: "region", want: wrong, says: "atlantis-west1", mend: "pulumi config set gcp:region REGION --stack acme"},
		"a region that is not asked about": {roles: []string{"roles/owner"}, stack: map[string]any{"gcp:region": "atlantis"},
			check: "stack", want: wrong, says: `"atlantis"`, mend: "pulumi config set gcp:region europe-west1 --stack acme"},
		"a token that has ended": {roles: []string{"roles/owner"}, stack: map[string]any{"gcp:accessToken": "ended"},
			check: "project", want: wrong, says: "401"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			machine(t)
			cloud := startCloud(t, test.cloud)
			for _, api := range everyAPI {
				if !strings.Contains(strings.Join(test.off, " "), api) {
					enable(t, cloud, api)
				}
			}
			grant(t, cloud, "user:"+deployer, test.roles...)
			found := look(t, acme(t, cloud, deployer, test.stack))
			var matching []finding
			for _, f := range found {
				if f.Check == test.check && f.Status == test.want && strings.Contains(f.Says, test.says) {
					matching = append(matching, f)
				}
			}
			require.Len(t, matching, 1)
			assert.Contains(t, strings.Join(matching[0].Mend, "\n"), test.mend)
		})
	}
}

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

func TestNothingIsAskedForThatChangesAnything(t *testing.T) {
	machine(t)
	cloud := startCloud(t, nil)
	enable(t, cloud, everyAPI...)
	grant(t, cloud, "user:"+deployer, "roles/viewer")
	inventory, apis := cloud.Inventory(), cloud.EnabledServices(project)

	through, asked := record(t, acme(t, cloud, deployer, nil))
	look(t, through)
	require.NotEmpty(t, asked())
	for _, call := range asked() {
		assert.True(t, strings.HasPrefix(call, "GET ") || strings.HasSuffix(call, ":testIamPermissions"), call)
	}
	assert.Equal(t, inventory, cloud.Inventory())
	assert.Equal(t, apis, cloud.EnabledServices(project))
}

func TestATokenDoesNotFollowARedirect(t *testing.T) {
	machine(t)
	var leaked bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { leaked = true }))
	defer elsewhere.Close()
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	found := look(t, stack{name: "acme", settings: map[string]any{
		"gcp:project": project, "gcp:region": "europe-west1", "gcp:accessToken": "a-token-of-mine",
		"gcp:resourceManagerCustomEndpoint": redirecting.URL + "/",
	}})
	assert.Equal(t, wrong, about(t, found, "project").Status)
	assert.False(t, leaked)
}

func TestARoleOnTheAccountItselfIsEnoughToRunAsIt(t *testing.T) {
	machine(t)
	cloud := startCloud(t, nil)
	enable(t, cloud, everyAPI...)
	grant(t, cloud, "user:"+deployer, "roles/browser")
	s := acme(t, cloud, deployer, nil)
	assert.Equal(t, wrong, about(t, look(t, s), "actAs").Status, "there is no account yet")

	owner := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: cloud.ProviderConfig()["gcp:accessToken"]}))
	base := cloud.ProviderConfig()["gcp:iamCustomEndpoint"] + "v1/projects/" + project + "/serviceAccounts"
	post(t, owner, base, map[string]any{"accountId": "berth-acme"})
	post(t, owner, base+"/berth-acme@"+project+".iam.gserviceaccount.com:setIamPolicy", map[string]any{"policy": &iampb.Policy{
		Bindings: []*iampb.Binding{{Role: actAsRole, Members: []string{"user:" + deployer}}},
	}})
	assert.Equal(t, ok, about(t, look(t, s), "actAs").Status)
}

func post(t *testing.T, client *http.Client, address string, body any) {
	t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(t, err)
	response, err := client.Post(address, "application/json", bytes.NewReader(encoded))
	require.NoError(t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", answer)
}
