package apis_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// grant gives members a role, by what names the policy's resource in a path.
func (c *cloud) grant(t *testing.T, resource, role string, members ...string) {
	t.Helper()
	bindings := []map[string]any{{"role": role, "members": members}}
	c.must(t, http.MethodPost, resource+":setIamPolicy", asJSON(t, map[string]any{"policy": map[string]any{"bindings": bindings}}))
}

func TestARolePermitsWhatItHoldsAndNothingElse(t *testing.T) {
	c, image := newReadyCloud(t)
	c.deploy(t, portal(image))
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`)
	repository := "/v1/" + parent + "/repositories/images"
	account := "/v1/projects/acme-dev/serviceAccounts/portal@acme-dev.iam.gserviceaccount.com"
	can := func(method, path, body string) bool {
		return c.as(t, "stranger-token", method, path, body).code != http.StatusForbidden
	}
	for title, tt := range map[string]struct {
		resource, role, member string
		reads, writes          bool
	}{
		"a viewer of the service":      {servicePath, "roles/run.viewer", "user:" + stranger, true, false},
		"a group of viewers":           {servicePath, "roles/run.viewer", "group:devs@example.com", true, false},
		"an invoker":                   {servicePath, "roles/run.invoker", "user:" + stranger, false, false},
		"an administrator":             {servicePath, "roles/run.admin", "user:" + stranger, true, true},
		"the viewer of a repository":   {repository, "roles/artifactregistry.reader", "user:" + stranger, true, false},
		"a writer to a repository":     {repository, "roles/artifactregistry.writer", "user:" + stranger, true, false},
		"a repository's administrator": {repository, "roles/artifactregistry.admin", "user:" + stranger, true, true},
		"who may act as an account":    {account, "roles/iam.serviceAccountUser", "user:" + stranger, true, false},
		"an account's administrator":   {account, "roles/iam.serviceAccountAdmin", "user:" + stranger, true, true},
		"who makes tokens":             {account, "roles/iam.serviceAccountOpenIdTokenCreator", "user:" + stranger, false, false},
	} {
		t.Run(title, func(t *testing.T) {
			require.False(t, can(http.MethodGet, tt.resource, ""))
			c.grant(t, tt.resource, tt.role, tt.member)
			assert.Equal(t, tt.reads, can(http.MethodGet, tt.resource, ""))
			assert.Equal(t, tt.writes, can(http.MethodPost, tt.resource+":setIamPolicy", `{}`))
			c.must(t, http.MethodPost, tt.resource+":setIamPolicy", `{"policy":{}}`)
			assert.False(t, can(http.MethodGet, tt.resource, ""), "a grant that was taken back")
		})
	}
}

func TestAGrantUnderAConditionPermitsNothing(t *testing.T) {
	c := newServiceCloud(t)
	c.must(t, http.MethodPost, servicePath+":setIamPolicy", `{"policy":{"version":3,"bindings":[
		{"role":"roles/run.admin","members":["user:`+stranger+`"],"condition":{"title":"t","expression":"true"}}]}}`)
	assert.Equal(t, http.StatusForbidden, c.as(t, "stranger-token", http.MethodGet, servicePath, "").code)
}

func TestDeployingTakesTheRightToActAsTheAccount(t *testing.T) {
	c, image := newReadyCloud(t)
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal"}`)
	body := `{"template":{"serviceAccount":"portal@acme-dev.iam.gserviceaccount.com","containers":[{"image":"` + image + `"}]}}`
	c.deploy(t, body)
	c.grant(t, servicePath, "roles/run.developer", "user:"+stranger)
	_, message := c.as(t, "stranger-token", http.MethodPatch, servicePath, body).problem()
	assert.Contains(t, message, "Permission 'iam.serviceaccounts.actAs' denied")

	c.grant(t, "/v1/projects/acme-dev/serviceAccounts/portal@acme-dev.iam.gserviceaccount.com", "roles/iam.serviceAccountUser", "user:"+stranger)
	assert.Equal(t, http.StatusOK, c.as(t, "stranger-token", http.MethodPatch, servicePath, body).code)
}

func TestPermissionsAreHeldByGrants(t *testing.T) {
	c := newServiceCloud(t)
	c.grant(t, servicePath, "roles/run.viewer", "user:"+stranger)
	held := c.as(t, "stranger-token", http.MethodPost, servicePath+":testIamPermissions",
		`{"permissions":["run.services.get","run.services.delete"]}`)
	assert.Equal(t, []any{"run.services.get"}, held.body["permissions"])
}
