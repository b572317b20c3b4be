package apis_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudbilling/v1"
	"google.golang.org/api/cloudkms/v1"
	"google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

const key = parent + "/keyRings/ring/cryptoKeys/key"

func withKey(o *apis.Options) { o.Keys = []string{key} }

func TestAProjectsPolicyIsReadAndWritten(t *testing.T) {
	c := newCloud(t)
	manager, err := cloudresourcemanager.NewService(t.Context(), c.restOptions("owner-token")...)
	require.NoError(t, err)
	policy, err := manager.Projects.GetIamPolicy(projectID, &cloudresourcemanager.GetIamPolicyRequest{}).Do()
	require.NoError(t, err)
	require.Len(t, policy.Bindings, 1)
	assert.Equal(t, []string{"user:" + owner}, policy.Bindings[0].Members, "who made it owns it")

	policy.Bindings = append(policy.Bindings, &cloudresourcemanager.Binding{Role: "roles/artifactregistry.reader", Members: []string{"serviceAccount:" + agent}})
	stale := policy.Etag
	policy, err = manager.Projects.SetIamPolicy(projectID, &cloudresourcemanager.SetIamPolicyRequest{Policy: policy}).Do()
	require.NoError(t, err)
	require.Len(t, policy.Bindings, 2)
	policy.Etag = stale
	_, err = manager.Projects.SetIamPolicy(projectID, &cloudresourcemanager.SetIamPolicyRequest{Policy: policy}).Do()
	require.ErrorContains(t, err, "concurrent policy changes")
}

func TestAuditLoggingChangesOnlyWhereTheMaskNamesIt(t *testing.T) {
	c := newCloud(t)
	const path = "/v1/projects/" + projectID + ":setIamPolicy"
	const logged = `{"service":"run.googleapis.com","auditLogConfigs":[{"logType":"DATA_READ","exemptedMembers":["user:` + owner + `"]}]}`
	c.must(t, http.MethodPost, path, `{"policy":{"auditConfigs":[`+logged+`]},"updateMask":"bindings,etag,auditConfigs"}`)
	configs := func() any {
		return c.must(t, http.MethodPost, "/v1/projects/"+projectID+":getIamPolicy", `{}`)["auditConfigs"]
	}
	assert.Len(t, configs(), 1)
	c.must(t, http.MethodPost, path, `{"policy":{}}`)
	assert.Len(t, configs(), 1, "who writes bindings alone leaves it")
	c.must(t, http.MethodPost, path, `{"policy":{},"updateMask":"auditConfigs"}`)
	assert.Nil(t, configs())

	a := c.call(t, http.MethodPost, path, `{"policy":{"auditConfigs":[{"service":"none.example","auditLogConfigs":[{"logType":"DATA_READ"},{"logType":"DATA_READ"},{}]},
		{"service":"allServices"},{"service":"allServices","auditLogConfigs":[{"logType":"ADMIN_READ"}]}]},"updateMask":"auditConfigs"}`)
	require.Equal(t, http.StatusBadRequest, a.code)
	_, message := a.problem()
	for _, text := range []string{`"none.example" is not an API`, "DATA_READ is given twice", "0 is not a kind of log", "At least one kind of log", "allServices is given twice"} {
		assert.Contains(t, message, text)
	}
}

func TestAGrantOnTheProjectReachesEverythingInIt(t *testing.T) {
	c := newServiceCloud(t)
	const project = "/v1/projects/" + projectID
	permissions := `{"permissions":["run.services.get","run.services.delete","serviceusage.services.use","no.such.permission"]}`
	held := func(token string) any {
		return c.as(t, token, http.MethodPost, project+":testIamPermissions", permissions).body["permissions"]
	}
	assert.Equal(t, []any{"run.services.get", "run.services.delete", "serviceusage.services.use"}, held("owner-token"))
	assert.Nil(t, held("stranger-token"))
	assert.Equal(t, http.StatusForbidden, c.as(t, "stranger-token", http.MethodGet, project, "").code)
	assert.Equal(t, http.StatusForbidden, c.as(t, "stranger-token", http.MethodPost, project+":getIamPolicy", `{}`).code)

	c.grant(t, project, "roles/run.viewer", "user:"+stranger)
	assert.Equal(t, []any{"run.services.get"}, held("stranger-token"))
	assert.Equal(t, http.StatusOK, c.as(t, "stranger-token", http.MethodGet, servicePath, "").code)
	assert.Equal(t, http.StatusForbidden, c.as(t, "stranger-token", http.MethodPost, project+":setIamPolicy", `{"policy":{}}`).code)
	assert.Equal(t, http.StatusForbidden, c.as(t, "stranger-token", http.MethodGet, project, "").code)
	c.grant(t, project, "roles/viewer", "user:"+stranger)
	assert.Equal(t, http.StatusOK, c.as(t, "stranger-token", http.MethodGet, project, "").code)
	assert.Empty(t, c.apis.Invokers(parent+"/services/portal"))
	c.grant(t, project, "roles/run.invoker", "user:"+stranger)
	assert.Equal(t, []string{"user:" + stranger}, c.apis.Invokers(parent+"/services/portal"), "which is why nobody should grant it there")
}

func TestSharingCanBeRestrictedToTheCustomer(t *testing.T) {
	const name = "projects/" + projectID + "/policies/iam.allowedPolicyMemberDomains"
	effective := func(c *cloud) *orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule {
		c.enable(t, "orgpolicy.googleapis.com")
		client, err := orgpolicy.NewService(t.Context(), c.restOptions("owner-token")...)
		require.NoError(t, err)
		policy, err := client.Projects.Policies.GetEffectivePolicy(name).Do()
		require.NoError(t, err)
		require.Len(t, policy.Spec.Rules, 1)
		return policy.Spec.Rules[0]
	}
	open := newCloud(t)
	assert.True(t, effective(open).AllowAll)
	closed := newCloud(t, func(o *apis.Options) {
		o.RestrictSharing = true
		o.MemberExists = func(string) bool { return true }
	})
	assert.Equal(t, []string{"is:C0123abcd"}, effective(closed).Values.AllowedValues)
	for member, want := range map[string]int{
		"user:sam@example.com": 200, "group:devs@EXAMPLE.com": 200, "domain:example.com": 200, "serviceAccount:" + agent: 200,
		"user:sam@elsewhere.example": 400, "group:devs@example.com.evil.example": 400, "domain:elsewhere.example": 400, "allUsers": 400,
	} {
		a := closed.call(t, http.MethodPost, "/v1/projects/"+projectID+":setIamPolicy", `{"policy":{"bindings":[{"role":"roles/viewer","members":["`+member+`"]}]}}`)
		assert.Equal(t, want, a.code, "%s: %s", member, a.text)
		if want != 200 {
			_, message := a.problem()
			assert.Contains(t, message, "do not belong to a permitted customer")
		}
	}
	a := open.call(t, http.MethodGet, "/v2/projects/"+projectID+"/policies/compute.none:getEffectivePolicy", "")
	assert.Equal(t, http.StatusNotFound, a.code)
}

func TestWhoPaysForAProject(t *testing.T) {
	for title, account := range map[string]string{"somebody": "012345-6789AB-CDEF01", "nobody": ""} {
		t.Run(title, func(t *testing.T) {
			c := newCloud(t, func(o *apis.Options) { o.BillingAccount = account })
			client, err := cloudbilling.NewService(t.Context(), c.restOptions("owner-token")...)
			require.NoError(t, err)
			_, err = client.Projects.GetBillingInfo("projects/" + projectID).Do()
			require.ErrorContains(t, err, "Cloud Billing API has not been used")
			c.enable(t, "cloudbilling.googleapis.com")
			info, err := client.Projects.GetBillingInfo("projects/" + projectID).Do()
			require.NoError(t, err)
			assert.Equal(t, account != "", info.BillingEnabled)
			if account != "" {
				assert.Equal(t, "billingAccounts/"+account, info.BillingAccountName)
			}
		})
	}
}

func TestAServiceIsEncryptedOnceCloudRunMayUseTheKey(t *testing.T) {
	c := newCloud(t, withKey)
	c.enable(t, "run.googleapis.com", "iam.googleapis.com", "artifactregistry.googleapis.com", "cloudkms.googleapis.com")
	c.createRepository(t, "images")
	image := c.push(t, "acme-dev/images/server", "owner-token")
	create := func(name string) answer {
		return c.call(t, http.MethodPost, "/v2/"+parent+"/services?serviceId=portal",
			`{"template":{"encryptionKey":"`+name+`","containers":[{"image":"`+image+`"}]}}`)
	}
	_, message := create(key).problem()
	assert.Contains(t, message, "Cloud Run Service Agent "+agent+" must have permission 'cloudkms.cryptoKeyVersions.useToEncrypt'")

	client, err := cloudkms.NewService(t.Context(), option.WithEndpoint(c.url), option.WithHTTPClient(&http.Client{Transport: bearer("owner-token")}))
	require.NoError(t, err)
	keys := client.Projects.Locations.KeyRings.CryptoKeys
	policy, err := keys.GetIamPolicy(key).Do()
	require.NoError(t, err)
	policy.Bindings = append(policy.Bindings, &cloudkms.Binding{Role: "roles/cloudkms.cryptoKeyEncrypterDecrypter", Members: []string{"serviceAccount:" + agent}})
	_, err = keys.SetIamPolicy(key, &cloudkms.SetIamPolicyRequest{Policy: policy}).Do()
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, create(key).code)
	assert.Equal(t, http.StatusForbidden, create(parent+"/keyRings/ring/cryptoKeys/other").code)

	_, err = keys.Get(key).Do()
	require.NoError(t, err)
	_, err = keys.GetIamPolicy(parent + "/keyRings/ring/cryptoKeys/other").Do()
	require.ErrorContains(t, err, "not found")
	a := c.call(t, http.MethodPost, "/v1/"+key+":setIamPolicy", `{"policy":{"bindings":[{"role":"roles/run.invoker","members":["user:`+owner+`"]}]}}`)
	assert.Equal(t, http.StatusBadRequest, a.code, "that role means nothing on a key")
}
