package apis_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/serviceusage/v1beta1"
)

// name names a service agent in the policy of the project, and tells what Google says.
func (c *cloud) name(t *testing.T, email string) answer {
	t.Helper()
	return c.call(t, http.MethodPost, "/v1/projects/"+projectID+":setIamPolicy",
		fmt.Sprintf(`{"policy":{"bindings":[{"role":"roles/owner","members":["user:%s"]},{"role":"roles/run.viewer","members":["serviceAccount:%s"]}]}}`, owner, email))
}

func TestAServiceAgentIsThereOnceItWasAskedFor(t *testing.T) {
	c := newCloud(t)
	usage, err := serviceusage.NewService(t.Context(), c.restOptions("owner-token")...)
	require.NoError(t, err)
	for api, email := range map[string]string{
		"artifactregistry.googleapis.com": "service-123456789012@gcp-sa-artifactregistry.iam.gserviceaccount.com",
		"secretmanager.googleapis.com":    "service-123456789012@gcp-sa-secretmanager.iam.gserviceaccount.com",
	} {
		refused := c.name(t, email)
		require.Equal(t, http.StatusBadRequest, refused.code)
		assert.Contains(t, refused.text, email+" does not exist")
		operation, err := usage.Services.GenerateServiceIdentity("projects/" + projectID + "/services/" + api).Do()
		require.NoError(t, err)
		require.True(t, operation.Done)
		assert.Contains(t, string(operation.Response), email)
		assert.Equal(t, http.StatusOK, c.name(t, email).code)
	}
	assert.Equal(t, http.StatusOK, c.name(t, agent).code, "Cloud Run's comes with the project")
	operation, err := usage.Services.GenerateServiceIdentity("projects/" + projectID + "/services/run.googleapis.com").Do()
	require.NoError(t, err)
	assert.Contains(t, string(operation.Response), agent)

	for name, says := range map[string]string{
		"projects/" + projectID + "/services/sts.googleapis.com":  "no service agent of sts.googleapis.com",
		"projects/" + projectID + "/services/mars.googleapis.com": "mars.googleapis.com",
		"projects/nobodys/services/secretmanager.googleapis.com":  "denied",
	} {
		_, err := usage.Services.GenerateServiceIdentity(name).Do()
		require.ErrorContains(t, err, says)
	}
}

func TestStoragesOwnAccountIsThereOnceItWasAskedFor(t *testing.T) {
	const email = "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
	c := newCloud(t)
	require.Equal(t, http.StatusBadRequest, c.name(t, email).code)
	_, err := c.storageAs(t, "stranger-token").ServiceAccount(t.Context(), projectID)
	require.ErrorContains(t, err, "resourcemanager.projects.get")
	require.Equal(t, http.StatusBadRequest, c.name(t, email).code)

	told, err := c.storageAs(t, "owner-token").ServiceAccount(t.Context(), projectID)
	require.NoError(t, err)
	assert.Equal(t, email, told)
	assert.Equal(t, http.StatusOK, c.name(t, email).code)
}
