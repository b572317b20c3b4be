package doctor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func TestAnOwnerOfAReadyProjectIsToldThatAllIsWell(t *testing.T) {
	machine(t)
	cloud := startCloud(t, nil)
	enable(t, cloud, everyAPI...)
	assert.Equal(t, map[string]status{
		"login": ok, "project": ok, "billing": ok, "apis": ok, "permissions": ok, "actAs": ok, "sharing": ok, "region": ok,
	}, googles(look(t, acme(t, cloud, operator, nil))))
}

func TestEveryFeatureOfAStackIsLookedAt(t *testing.T) {
	machine(t)
	cloud := startCloud(t, nil)
	enable(t, cloud, everyAPI...)
	grant(t, cloud, "user:"+deployer, "roles/browser")
	for name, test := range map[string]struct {
		settings map[string]any
		lacks    []string // some permission of each feature
		apis     []string
	}{
		"a client's": {
			map[string]any{
				"berth:secrets": map[string]any{"TOKEN": map[string]any{"value": map[string]any{"secure": "v1:…"}}}, "berth:data": map[string]any{"enabled": true},
				"berth:monitoring": map[string]any{"enabled": true}, "berth:group": map[string]any{"email": "g@example.com"},
			},
			[]string{"secretmanager.secrets.create", "storage.buckets.create", "logging.logMetrics.create", "monitoring.alertPolicies.create"},
			[]string{"cloudidentity", "logging", "monitoring", "secretmanager", "storage"},
		},
		"a project's": {
			map[string]any{"berth:kind": "project", "berth:developers": nil},
			[]string{"artifactregistry.repositories.setIamPolicy", "resourcemanager.projects.setIamPolicy", "logging.sinks.create", "monitoring.notificationChannels.create"},
			[]string{"logging", "monitoring"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			says := ""
			for _, f := range look(t, acme(t, cloud, deployer, test.settings)) {
				says += f.Says + "\n"
			}
			for _, permission := range test.lacks {
				assert.Contains(t, says, permission)
			}
			found := look(t, acme(t, cloud, operator, test.settings))
			assert.Equal(t, ok, about(t, found, "permissions").Status)
			off := about(t, found, "apis")
			assert.Equal(t, warning, off.Status)
			for _, api := range test.apis {
				assert.Contains(t, off.Says, api+".googleapis.com")
			}
		})
	}
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

func TestNothingIsAskedForThatChangesAnything(t *testing.T) {
	machine(t)
	cloud, _ := startShared(t)
	grant(t, cloud, "user:"+deployer, "roles/viewer")
	inventory, apis := cloud.Inventory(), cloud.EnabledServices(project)

	through, asked := record(t, acme(t, cloud, deployer, map[string]any{
		"berth:repository": sharedRepository,
		"berth:secrets":    map[string]any{"DB": map[string]any{"secret": "db", "version": "1"}},
	}))
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
