package localcloud_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

// TestNeitherClientsServerReadsTheOthersData gives two clients' servers what they need,
// and then has each account try for the other's.
func TestNeitherClientsServerReadsTheOthersData(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	o := operator{t, cloud}
	o.enable()
	image := o.push("server", "../../server")
	asAda := bearer(enginetest.IDToken(t, cloud, ada))

	serve := func(service, client, account string) (at string) {
		at = o.deploy(service, image, account, fmt.Sprintf(
			`{"name":"BERTH_IDENTITY","value":"cloudrun"},{"name":"BERTH_CLIENT","value":%q},{"name":"BERTH_DATA","value":%q},{"name":"BERTH_CONFIG","value":"access: {default: admin}"}`,
			client, "gs://"+client+"-data"))
		o.grant("/v2/"+place+"/services/"+service, "roles/run.invoker", "user:"+ada)
		return at
	}
	use := func(at, tool string, arguments any) (text string, failed bool) {
		result := callTool(t, at, asAda, tool, arguments)
		encoded, err := json.Marshal(result.Content)
		require.NoError(t, err)
		return string(encoded), result.IsError
	}

	accounts := map[string]string{}
	for _, client := range []string{"acme", "globex"} {
		account := o.account("server-" + client)
		accounts[client] = account
		o.bucket(client+"-data", account)
		o.secret(client+"-key", "the key of "+client)
		o.grant("/v1/projects/"+enginetest.Project+"/secrets/"+client+"-key", "roles/secretmanager.secretAccessor", "serviceAccount:"+account)
		at := serve(client, client, account)
		imported, failed := use(at, "import", map[string]any{
			"format": "yaml", "text": "goals: [{id: G1, title: The plan of " + client + ", status: active, target: 2027-01-01}]",
		})
		require.False(t, failed, imported)
		own, failed := use(at, "list_goals", nil)
		require.False(t, failed, own)
		require.Contains(t, own, "The plan of "+client)
	}

	for client, other := range map[string]string{"acme": "globex", "globex": "acme"} {
		t.Run("a server of "+other+"'s in all but the account, which is "+client+"'s", func(t *testing.T) {
			text, failed := use(serve("as-"+other, other, accounts[client]), "list_goals", nil)
			assert.True(t, failed)
			assert.Contains(t, text, "the bucket refuses this server's account (403)")
			assert.NotContains(t, text, "The plan of")
		})
		t.Run("a revision of "+client+"'s with a secret of "+other+"'s", func(t *testing.T) {
			template := fmt.Sprintf(`{"template":{"serviceAccount":%q,"containers":[{"image":%q,"env":[{"name":"KEY","valueSource":{"secretKeyRef":{"secret":%q,"version":"1"}}}]}]}}`,
				accounts[client], image, other+"-key")
			problem, err := json.Marshal(o.settled(o.call(http.MethodPost, "/v2/"+place+"/services?serviceId=with-"+other, template)))
			require.NoError(t, err)
			assert.Contains(t, string(problem), "Permission denied on secret")
		})
		t.Run("the account of "+client+" by hand", func(t *testing.T) {
			token, err := cloud.Directory().AccessToken(accounts[client])
			require.NoError(t, err)
			for what, c := range map[string]struct{ method, of, body string }{
				"listing":    {http.MethodGet, cloud.StorageURL() + "b/CLIENT-data/o", ""},
				"reading":    {http.MethodGet, cloud.StorageURL() + "b/CLIENT-data/o/clients%2FCLIENT%2Fgoals%2FG1.yaml?alt=media", ""},
				"writing":    {http.MethodPost, strings.Replace(cloud.StorageURL(), "/storage/", "/upload/storage/", 1) + "b/CLIENT-data/o?uploadType=media&name=new", "x"},
				"the secret": {http.MethodGet, strings.TrimSuffix(cloud.ProviderConfig()["gcp:iamCustomEndpoint"], "/") + "/v1/projects/" + enginetest.Project + "/secrets/CLIENT-key/versions/1:access", ""},
			} {
				code, body := sent(t, token, c.method, strings.ReplaceAll(c.of, "CLIENT", client), c.body)
				assert.Equal(t, http.StatusOK, code, "%s its own: %s", what, body)
				code, body = sent(t, token, c.method, strings.ReplaceAll(c.of, "CLIENT", other), c.body)
				assert.Equal(t, http.StatusForbidden, code, "%s the other's: %s", what, body)
				assert.NotContains(t, body, "The plan of")
				assert.NotContains(t, body, base64.StdEncoding.EncodeToString([]byte("the key of "+other)))
			}
		})
		t.Run("the records of calls, by the account of "+client, func(t *testing.T) {
			// They are in the project's log, beside those of every client: whoever may read
			// there reads all of them.
			token, err := cloud.Directory().AccessToken(accounts[client])
			require.NoError(t, err)
			api := strings.TrimSuffix(cloud.ProviderConfig()["gcp:iamCustomEndpoint"], "/")
			const permissions = `{"permissions":["logging.logEntries.list","logging.views.access","logging.buckets.get"]}`
			test := api + "/v1/projects/" + enginetest.Project + ":testIamPermissions"
			code, body := sent(t, token, http.MethodPost, test, permissions)
			assert.Equal(t, http.StatusOK, code, body)
			assert.NotContains(t, body, "logging.")
			code, body = sent(t, cloud.ProviderConfig()["gcp:accessToken"], http.MethodPost, test, permissions)
			assert.Equal(t, http.StatusOK, code, body)
			assert.Contains(t, body, "logging.logEntries.list", "an operator may")
			code, body = sent(t, token, http.MethodGet, api+"/v2/projects/"+enginetest.Project+"/locations/global/buckets/_Default", "")
			assert.Equal(t, http.StatusForbidden, code, body)
		})
	}
}

func sent(t *testing.T, token, method, address, body string) (code int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(raw)
}
