package localcloud_test

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/berth-mcp/berth/internal/localcloud/instance/imagetest"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const place = "projects/" + enginetest.Project + "/locations/europe-west1"

// operator calls the APIs by hand.
type operator struct {
	t     *testing.T
	cloud *localcloud.Cloud
}

func (o operator) send(method, address, body string) map[string]any {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, address, strings.NewReader(body))
	require.NoError(o.t, err)
	req.Header.Set("Authorization", "Bearer "+o.cloud.ProviderConfig()["gcp:accessToken"])
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(o.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(o.t, err)
	require.Equal(o.t, http.StatusOK, resp.StatusCode, "%s %s: %s", method, address, raw)
	object := map[string]any{}
	require.NoError(o.t, json.Unmarshal(raw, &object))
	return object
}

func (o operator) call(method, path, body string) map[string]any {
	o.t.Helper()
	return o.send(method, strings.TrimSuffix(o.cloud.ProviderConfig()["gcp:iamCustomEndpoint"], "/")+path, body)
}

func (o operator) grant(path, role string, members ...string) {
	o.t.Helper()
	policy, err := json.Marshal(map[string]any{"policy": map[string]any{"bindings": []map[string]any{{"role": role, "members": members}}}})
	require.NoError(o.t, err)
	o.call(http.MethodPost, path+":setIamPolicy", string(policy))
}

// account makes a service account and gives its e-mail.
func (o operator) account(id string) string {
	o.t.Helper()
	made := o.call(http.MethodPost, "/v1/projects/"+enginetest.Project+"/serviceAccounts", `{"accountId":"`+id+`"}`)
	return made["email"].(string)
}

// enable switches the APIs on that an operator by hand needs.
func (o operator) enable() {
	o.t.Helper()
	for _, api := range []string{"run", "iam", "artifactregistry", "secretmanager"} {
		o.call(http.MethodPost, "/v1/projects/"+enginetest.Project+"/services/"+api+".googleapis.com:enable", "{}")
	}
}

// bucket makes a bucket whose objects the account may use.
func (o operator) bucket(name, account string) {
	o.t.Helper()
	o.send(http.MethodPost, o.cloud.StorageURL()+"b?project="+enginetest.Project,
		`{"name":"`+name+`","location":"EU","iamConfiguration":{"uniformBucketLevelAccess":{"enabled":true}}}`)
	o.send(http.MethodPut, o.cloud.StorageURL()+"b/"+name+"/iam",
		`{"bindings":[{"role":"roles/storage.objectUser","members":["serviceAccount:`+account+`"]}]}`)
}

// secret makes a secret with one version, which nobody may read yet.
func (o operator) secret(name, value string) {
	o.t.Helper()
	o.call(http.MethodPost, "/v1/projects/"+enginetest.Project+"/secrets?secretId="+name, `{"replication":{"automatic":{}}}`)
	o.call(http.MethodPost, "/v1/projects/"+enginetest.Project+"/secrets/"+name+":addVersion",
		`{"payload":{"data":"`+base64.StdEncoding.EncodeToString([]byte(value))+`"}}`)
}

// push builds a program and pushes it as an image.
func (o operator) push(program, source string) string {
	o.t.Helper()
	o.call(http.MethodPost, "/v1/"+place+"/repositories?repository_id=images", `{"format":"DOCKER"}`)
	binary := filepath.Join(o.t.TempDir(), program)
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, source).CombinedOutput()
	require.NoError(o.t, err, string(out))
	content, err := os.ReadFile(binary)
	require.NoError(o.t, err)
	image := imagetest.Image(o.t, v1.Config{Entrypoint: []string{"/" + program}},
		imagetest.Layer(o.t, imagetest.Entry{Header: tar.Header{Name: "/" + program}, Content: content}))
	digest, err := image.Digest()
	require.NoError(o.t, err)
	ref, err := name.NewDigest(o.cloud.RegistryHost()+"/"+enginetest.Project+"/images/"+program+"@"+digest.String(), name.Insecure)
	require.NoError(o.t, err)
	login := &authn.Basic{Username: "oauth2accesstoken", Password: o.cloud.ProviderConfig()["gcp:accessToken"]}
	require.NoError(o.t, remote.Write(ref, image, remote.WithAuth(login)))
	return ref.String()
}

// settled waits for an operation, and gives its error, if any.
func (o operator) settled(operation map[string]any) any {
	o.t.Helper()
	require.Eventually(o.t, func() bool {
		operation = o.call(http.MethodGet, "/v2/"+operation["name"].(string), "")
		return operation["done"] == true
	}, time.Minute, 20*time.Millisecond)
	return operation["error"]
}

// deploy makes a service of the image that runs as the account.
func (o operator) deploy(service, image, account, env string) (url string) {
	o.t.Helper()
	body := fmt.Sprintf(`{"template":{"serviceAccount":%q,"containers":[{"image":%q,"env":[%s]}]}}`, account, image, env)
	require.Nil(o.t, o.settled(o.call(http.MethodPost, "/v2/"+place+"/services?serviceId="+service, body)))
	return o.call(http.MethodGet, "/v2/"+place+"/services/"+service, "")["uri"].(string)
}

// TestServicesCallEachOtherAsThemselves has instances use the identities that
// their metadata servers give them.
func TestServicesCallEachOtherAsThemselves(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	o := operator{t, cloud}
	o.enable()
	image := o.push("agent", "./testdata/agent")
	callerAccount, otherAccount, targetAccount := o.account("caller"), o.account("another"), o.account("target")
	target := o.deploy("target", image, targetAccount, `{"name":"GREETING","value":"hello from the target"}`)
	caller := o.deploy("caller", image, callerAccount, "")
	other := o.deploy("another", image, otherAccount, "")
	for _, service := range []string{"caller", "another"} {
		o.grant("/v2/"+place+"/services/"+service, "roles/run.invoker", "user:"+ada)
	}
	ask := func(service, path string, query url.Values) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service+path+"?"+query.Encode(), nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+enginetest.IDToken(t, cloud, ada))
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	call := func(service, audience string) (int, string) {
		return ask(service, "/call", url.Values{"url": {target + "/"}, "audience": {audience}})
	}

	t.Run("a service that is not granted is refused", func(t *testing.T) {
		code, _ := call(caller, target)
		assert.Equal(t, http.StatusForbidden, code)
	})
	o.grant("/v2/"+place+"/services/target", "roles/run.invoker", "serviceAccount:"+callerAccount)
	t.Run("the one that is granted gets in", func(t *testing.T) {
		code, body := call(caller, target)
		assert.Equal(t, http.StatusOK, code, body)
		assert.Equal(t, "hello from the target", body)
	})
	t.Run("a token for somebody else does not count", func(t *testing.T) {
		code, _ := call(caller, "https://elsewhere.example")
		assert.Equal(t, http.StatusUnauthorized, code)
	})
	t.Run("another service is another account", func(t *testing.T) {
		code, _ := call(other, target)
		assert.Equal(t, http.StatusForbidden, code)
	})

	o.bucket("caller-data", callerAccount)
	t.Run("a bucket is its own service's alone", func(t *testing.T) {
		code, body := ask(caller, "/object", url.Values{"bucket": {"caller-data"}})
		assert.Equal(t, http.StatusOK, code, body)
		assert.Equal(t, "written by caller", body)
		code, body = ask(other, "/object", url.Values{"bucket": {"caller-data"}})
		assert.Equal(t, http.StatusForbidden, code, body)
		assert.Contains(t, body, otherAccount+" does not have storage.objects.create access")
	})

	t.Run("a secret that the account may not read fails the revision", func(t *testing.T) {
		o.secret("greeting", "a secret hello")
		template := fmt.Sprintf(`{"template":{"serviceAccount":%q,"containers":[{"image":%q,"env":[{"name":"GREETING","valueSource":{"secretKeyRef":{"secret":"greeting","version":"1"}}}]}]}}`, targetAccount, image)
		failed := o.settled(o.call(http.MethodPatch, "/v2/"+place+"/services/target", template))
		var problem bytes.Buffer
		require.NoError(t, json.NewEncoder(&problem).Encode(failed))
		assert.Contains(t, problem.String(), "Permission denied on secret: projects/"+enginetest.Project+"/secrets/greeting/versions/1 for Revision service account "+targetAccount)
		_, body := call(caller, target)
		assert.Equal(t, "hello from the target", body, "the former revision goes on serving")

		o.grant("/v1/projects/"+enginetest.Project+"/secrets/greeting", "roles/secretmanager.secretAccessor", "serviceAccount:"+targetAccount)
		require.Nil(t, o.settled(o.call(http.MethodPatch, "/v2/"+place+"/services/target", template)))
		_, body = call(caller, target)
		assert.Equal(t, "a secret hello", body)
	})
}
