package apis_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cloud.google.com/go/iam/apiv1/iampb"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/berth-mcp/berth/internal/localcloud/apis"
)

const (
	secretPath = "/v1/projects/acme-dev/secrets/key"
	automatic  = `{"replication":{"automatic":{}}}`
)

func newSecretCloud(t *testing.T, changes ...func(*apis.Options)) *cloud {
	t.Helper()
	c := newCloud(t, changes...)
	c.enable(t, "secretmanager.googleapis.com", "iam.googleapis.com")
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/secrets?secretId=key", automatic)
	return c
}

func (c *cloud) addVersion(t *testing.T, value string) {
	t.Helper()
	c.must(t, http.MethodPost, secretPath+":addVersion", `{"payload":{"data":"`+base64.StdEncoding.EncodeToString([]byte(value))+`"}}`)
}

func TestAnOfficialClientKeepsASecret(t *testing.T) {
	ctx := t.Context()
	c := newCloud(t)
	c.enable(t, "secretmanager.googleapis.com")
	client, err := secretmanager.NewClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()

	secret, err := client.CreateSecret(ctx, &sm.CreateSecretRequest{
		Parent: "projects/acme-dev", SecretId: "key",
		Secret: &sm.Secret{
			Labels:      map[string]string{"client": "acme"},
			Replication: &sm.Replication{Replication: &sm.Replication_Automatic_{Automatic: &sm.Replication_Automatic{}}},
		},
	})
	require.NoError(t, err)
	assert.Equal(t, "projects/123456789012/secrets/key", secret.GetName(), "Google tells the project's number")
	_, err = client.AccessSecretVersion(ctx, &sm.AccessSecretVersionRequest{Name: secret.GetName() + "/versions/latest"})
	assert.Equal(t, codes.NotFound, status.Code(err))

	for i, value := range []string{"one", "two"} {
		version, err := client.AddSecretVersion(ctx, &sm.AddSecretVersionRequest{Parent: "projects/acme-dev/secrets/key", Payload: &sm.SecretPayload{Data: []byte(value)}})
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("projects/123456789012/secrets/key/versions/%d", i+1), version.GetName())
	}
	_, err = client.UpdateSecret(ctx, &sm.UpdateSecretRequest{
		Secret:     &sm.Secret{Name: secret.GetName(), VersionAliases: map[string]int64{"stable": 1}, Labels: map[string]string{"ignored": ""}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"version_aliases"}},
	})
	require.NoError(t, err)
	for version, want := range map[string]string{"1": "one", "2": "two", "latest": "two", "stable": "one"} {
		got, err := client.AccessSecretVersion(ctx, &sm.AccessSecretVersionRequest{Name: "projects/acme-dev/secrets/key/versions/" + version})
		require.NoError(t, err)
		assert.Equal(t, want, string(got.GetPayload().GetData()))
		assert.NotZero(t, got.GetPayload().GetDataCrc32C())
	}
	versions := client.ListSecretVersions(ctx, &sm.ListSecretVersionsRequest{Parent: secret.GetName(), PageSize: 1})
	var listed []string
	for version, err := versions.Next(); err != iterator.Done; version, err = versions.Next() {
		require.NoError(t, err)
		listed = append(listed, version.GetName()[strings.LastIndexByte(version.GetName(), '/')+1:])
	}
	assert.Equal(t, []string{"2", "1"}, listed)

	got, err := client.GetSecret(ctx, &sm.GetSecretRequest{Name: secret.GetName()})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"client": "acme"}, got.GetLabels(), "only what the mask names changes")
	require.NoError(t, client.DeleteSecret(ctx, &sm.DeleteSecretRequest{Name: secret.GetName()}))
	_, err = client.GetSecret(ctx, &sm.GetSecretRequest{Name: secret.GetName()})
	assert.Equal(t, codes.NotFound, status.Code(err))
	assert.Empty(t, c.apis.Inventory())
}

func TestOnlyWhoeverIsGrantedItReadsASecret(t *testing.T) {
	c := newSecretCloud(t)
	c.addVersion(t, "hunter2")
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/secrets?secretId=other", automatic)
	access := secretPath + "/versions/1:access"
	for title, tt := range map[string]struct {
		on, role, member string
		want             int
	}{
		"nothing is granted":               {secretPath, "roles/secretmanager.secretAccessor", "user:" + owner, http.StatusForbidden},
		"the right role":                   {secretPath, "roles/secretmanager.secretAccessor", "user:" + stranger, http.StatusOK},
		"the right role to a group":        {secretPath, "roles/secretmanager.secretAccessor", "group:devs@example.com", http.StatusOK},
		"a role that sees no values":       {secretPath, "roles/secretmanager.viewer", "user:" + stranger, http.StatusForbidden},
		"a role that only adds":            {secretPath, "roles/secretmanager.secretVersionManager", "user:" + stranger, http.StatusForbidden},
		"even an editor sees no values":    {secretPath, "roles/editor", "user:" + stranger, http.StatusForbidden},
		"the right role on another secret": {"/v1/projects/acme-dev/secrets/other", "roles/secretmanager.secretAccessor", "user:" + stranger, http.StatusForbidden},
	} {
		t.Run(title, func(t *testing.T) {
			c.grant(t, tt.on, tt.role, tt.member)
			a := c.as(t, "stranger-token", http.MethodGet, access, "")
			assert.Equal(t, tt.want, a.code, a.text)
			if tt.want == http.StatusOK {
				byNumber := c.as(t, "stranger-token", http.MethodGet, strings.Replace(access, "acme-dev", "123456789012", 1), "")
				assert.Equal(t, http.StatusOK, byNumber.code)
			} else {
				assert.NotContains(t, a.text, base64.StdEncoding.EncodeToString([]byte("hunter2")))
			}
			c.must(t, http.MethodPost, tt.on+":setIamPolicy", `{"policy":{}}`)
		})
	}
	a := c.as(t, "stranger-token", http.MethodGet, "/v1/projects/acme-dev/secrets/none/versions/1:access", "")
	assert.Equal(t, http.StatusForbidden, a.code, "whether a secret exists is not told either")
}

// What keeps a stranger out above is the decision about a policy's members, and nothing
// else: with that taken away, whoever asks reads the secret.
func TestWithoutTheDecisionAboutMembersEverySecretIsOpen(t *testing.T) {
	c := newSecretCloud(t, func(o *apis.Options) {
		o.Allows = func([]string, string) bool { return true }
	})
	c.addVersion(t, "hunter2")
	c.grant(t, secretPath, "roles/secretmanager.secretAccessor", "user:"+owner)
	a := c.as(t, "stranger-token", http.MethodGet, secretPath+"/versions/1:access", "")
	assert.Equal(t, http.StatusOK, a.code, a.text)
	_, err := c.apis.AccessSecret(accountEmail, "projects/acme-dev/secrets/key/versions/1")
	assert.NoError(t, err)
}

func TestAGrantGoesWithItsSecret(t *testing.T) {
	c := newSecretCloud(t)
	c.grant(t, secretPath, "roles/secretmanager.secretAccessor", "user:"+stranger)
	c.must(t, http.MethodDelete, secretPath, "")
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/secrets?secretId=key", automatic)
	c.addVersion(t, "another's")
	assert.Equal(t, http.StatusForbidden, c.as(t, "stranger-token", http.MethodGet, secretPath+"/versions/1:access", "").code)
}

func TestAVersionsStateDecidesWhetherItCanBeRead(t *testing.T) {
	c := newSecretCloud(t)
	c.addVersion(t, "one")
	version := secretPath + "/versions/1"
	for _, step := range []struct {
		method     string
		code, read int
	}{
		{"disable", http.StatusOK, http.StatusBadRequest},
		{"disable", http.StatusOK, http.StatusBadRequest},
		{"enable", http.StatusOK, http.StatusOK},
		{"destroy", http.StatusOK, http.StatusBadRequest},
		{"enable", http.StatusBadRequest, http.StatusBadRequest},
		{"disable", http.StatusBadRequest, http.StatusBadRequest},
	} {
		a := c.call(t, http.MethodPost, version+":"+step.method, `{}`)
		assert.Equal(t, step.code, a.code, "%s: %s", step.method, a.text)
		assert.Equal(t, step.read, c.call(t, http.MethodGet, version+":access", "").code, step.method)
	}
	got := c.must(t, http.MethodGet, version, "")
	assert.Equal(t, "DESTROYED", got["state"])
	assert.NotEmpty(t, got["destroyTime"])
	assert.Equal(t, []string{"//secretmanager.googleapis.com/projects/acme-dev/secrets/key"}, c.apis.Inventory(), "a destroyed version is nothing any more")
	a := c.call(t, http.MethodPost, secretPath+"/versions/latest:destroy", `{}`)
	assert.Equal(t, http.StatusNotFound, a.code, "an alias is for reading only")
}

func TestABadSecretIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	c := newSecretCloud(t)
	create := "/v1/projects/acme-dev/secrets?secretId="
	for title, tt := range map[string]struct {
		method, path, body string
		code               int
		says               []string
	}{
		"everything at once": {http.MethodPost, create + "a.b", `{"labels":{"Upper":"x"},"annotations":{"-a":"x"}}`, 400,
			[]string{"CreateSecretRequest.secret_id", "secret.replication", `"Upper"`, `"-a"`}},
		"a name that is taken":            {http.MethodPost, create + "key", automatic, 409, []string{"Secret [projects/123456789012/secrets/key] already exists."}},
		"a location that is nowhere":      {http.MethodPost, create + "k", `{"replication":{"userManaged":{"replicas":[{"location":"mars"}]}}}`, 400, []string{`"mars"`}},
		"what the local cloud has not":    {http.MethodPost, create + "k", `{"replication":{"automatic":{}},"ttl":"60s"}`, 501, []string{"secret.expiration"}},
		"a misspelt field":                {http.MethodPost, create + "k", `{"replications":{}}`, 400, []string{`Unknown name "replications"`}},
		"an update with no mask":          {http.MethodPatch, secretPath, `{"labels":{}}`, 400, []string{"update_mask"}},
		"replication for ever":            {http.MethodPatch, secretPath + "?updateMask=replication", automatic, 400, []string{`"replication" cannot be changed`}},
		"an alias of no version":          {http.MethodPatch, secretPath + "?updateMask=versionAliases", `{"versionAliases":{"latest":"7"}}`, 400, []string{"nor 'NEW'", "version 7"}},
		"an etag that is not the current": {http.MethodPatch, secretPath + "?updateMask=labels", `{"etag":"\"x\""}`, 400, []string{"is not its current one"}},
		"no payload":                      {http.MethodPost, secretPath + ":addVersion", `{"payload":{}}`, 400, []string{"payload.data"}},
		"too much payload":                {http.MethodPost, secretPath + ":addVersion", `{"payload":{"data":"` + base64.StdEncoding.EncodeToString(make([]byte, 64<<10+1)) + `"}}`, 400, []string{"65537 bytes"}},
		"a checksum of other data":        {http.MethodPost, secretPath + ":addVersion", `{"payload":{"data":"YQ==","dataCrc32c":"1"}}`, 400, []string{"payload.data_crc32c"}},
	} {
		t.Run(title, func(t *testing.T) {
			a := c.call(t, tt.method, tt.path, tt.body)
			_, message := a.problem()
			assert.Equal(t, tt.code, a.code, a.text)
			for _, part := range tt.says {
				assert.Contains(t, message, part)
			}
		})
	}
	assert.Len(t, c.apis.Inventory(), 1)
}

func TestASecretsPolicyIsSetByTheOfficialClient(t *testing.T) {
	ctx := context.Background()
	c := newSecretCloud(t)
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal-server"}`)
	client, err := secretmanager.NewClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()
	policy := &iampb.Policy{Bindings: []*iampb.Binding{{Role: "roles/secretmanager.secretAccessor", Members: []string{"serviceAccount:" + accountEmail}}}}
	_, err = client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: "projects/123456789012/secrets/key", Policy: policy})
	require.NoError(t, err)
	got, err := client.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: "projects/acme-dev/secrets/key"})
	require.NoError(t, err)
	assert.Equal(t, []string{"serviceAccount:" + accountEmail}, got.GetBindings()[0].GetMembers())
	policy.Bindings[0].Role = "roles/run.invoker"
	_, err = client.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: "projects/acme-dev/secrets/key", Policy: policy})
	assert.Equal(t, codes.InvalidArgument, status.Code(err), "a role of another service")
}

func TestARevisionReadsASecretAsItsOwnAccountAlone(t *testing.T) {
	c := newSecretCloud(t)
	c.addVersion(t, "hunter2")
	c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal-server"}`)
	const version = "projects/acme-dev/secrets/key/versions/1"

	_, err := c.apis.AccessSecret(accountEmail, version)
	assert.Equal(t, codes.FailedPrecondition, status.Code(err))
	assert.ErrorContains(t, err, "Permission denied on secret: "+version+" for Revision service account "+accountEmail)
	assert.ErrorContains(t, err, "roles/secretmanager.secretAccessor")
	_, err = c.apis.AccessSecret(stranger, version)
	require.Error(t, err)

	c.grant(t, secretPath, "roles/secretmanager.secretAccessor", "serviceAccount:"+accountEmail)
	for _, name := range []string{version, "projects/123456789012/secrets/key/versions/latest"} {
		value, err := c.apis.AccessSecret(accountEmail, name)
		require.NoError(t, err)
		assert.Equal(t, "hunter2", string(value))
	}
	for name, says := range map[string]string{
		"projects/acme-dev/secrets/key/versions/2":  "cannot be read: Secret Version [projects/123456789012/secrets/key/versions/2] not found.",
		"projects/acme-dev/secrets/none/versions/1": "Permission denied on secret",
		"key": "Invalid name",
	} {
		_, err := c.apis.AccessSecret(accountEmail, name)
		assert.ErrorContains(t, err, says)
	}
	c.must(t, http.MethodPost, secretPath+"/versions/1:disable", `{}`)
	_, err = c.apis.AccessSecret(accountEmail, version)
	assert.ErrorContains(t, err, "is in DISABLED state")
}
