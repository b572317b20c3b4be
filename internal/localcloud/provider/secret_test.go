package provider

import (
	"net/http"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	secretToken        = "gcp:secretmanager/secret:Secret"
	secretVersionToken = "gcp:secretmanager/secretVersion:SecretVersion"
	secretBindingToken = "gcp:secretmanager/secretIamBinding:SecretIamBinding"
	secretMemberToken  = "gcp:secretmanager/secretIamMember:SecretIamMember"
)

// automatic is the least of a secret.
func automatic(id string) map[string]any {
	return map[string]any{"secretId": id, "replication": map[string]any{"auto": map[string]any{}}}
}

func version(data string) map[string]any {
	return map[string]any{"secret": "projects/p1/secrets/key", "secretData": data}
}

func TestSecret(t *testing.T) {
	cloud, e := newRealCloud(t, "secretmanager.googleapis.com")
	secret := e.create(secretToken, automatic("key"))
	assert.Equal(t, "projects/p1/secrets/key", secret.id)
	assert.Equal(t, "projects/4711/secrets/key", secret.state["name"], "the API tells the project's number")
	assert.Equal(t, map[string]any{"auto": map[string]any{}}, secret.state["replication"])
	assert.Equal(t, secret, e.refresh(secret))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(secret, automatic("key")).GetChanges())

	labelled := edited(t, automatic("key"), map[string]any{"client": "acme"}, "labels")
	labelled["annotations"] = map[string]any{"owner": "ann"}
	assert.Empty(t, e.diff(secret, labelled).GetReplaces())
	secret = e.update(secret, labelled)
	assert.Equal(t, map[string]any{"client": "acme", "goog-pulumi-provisioned": "true"}, secret.state["effectiveLabels"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(e.refresh(secret), labelled).GetChanges())

	elsewhere := edited(t, automatic("key"), map[string]any{"userManaged": map[string]any{"replicas": []any{map[string]any{"location": "europe-west1"}}}}, "replication")
	resp := e.diff(secret, elsewhere)
	assert.Equal(t, []string{"replication"}, resp.GetReplaces())
	assert.True(t, resp.GetDeleteBeforeReplace(), "there cannot be two of a name")

	imported := e.refresh(thing{token: secretToken, id: "p1/key"})
	assert.Equal(t, secret.id, imported.id)

	require.NoError(t, e.delete(secret))
	assert.Empty(t, e.refresh(secret).id)
	assert.Empty(t, cloud.Inventory())
}

func TestAProtectedSecretStays(t *testing.T) {
	_, e := newRealCloud(t, "secretmanager.googleapis.com")
	secret := e.create(secretToken, edited(t, automatic("key"), true, "deletionProtection"))
	require.ErrorContains(t, e.delete(secret), "deletionProtection=false")
	require.NoError(t, e.delete(e.update(secret, automatic("key"))))
}

func TestNewDataIsANewVersion(t *testing.T) {
	cloud, e := newRealCloud(t, "secretmanager.googleapis.com")
	e.create(secretToken, automatic("key"))
	first := e.create(secretVersionToken, version("one"))
	assert.Equal(t, "projects/4711/secrets/key/versions/1", first.id)
	assert.Equal(t, "1", first.state["version"])
	assert.Equal(t, "one", first.state["secretData"])
	assert.Equal(t, first, e.refresh(first))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(first, version("one")).GetChanges())

	resp := e.diff(first, version("two"))
	assert.Equal(t, []string{"secretData"}, resp.GetReplaces())
	assert.False(t, resp.GetDeleteBeforeReplace(), "the old one serves until the new one is there")
	second := e.create(secretVersionToken, version("two"))
	require.NoError(t, e.delete(first))
	assert.Equal(t, "2", second.state["version"])
	assert.Equal(t, "DESTROYED", cloud.get(t, "/v1/"+first.id)["state"])
	gone := e.refresh(first)
	assert.Equal(t, false, gone.state["enabled"])

	imported := e.refresh(thing{token: secretVersionToken, id: second.id})
	assert.Equal(t, "two", imported.inputs["secretData"])
	assert.Equal(t, "projects/4711/secrets/key", imported.inputs["secret"])
}

func TestAVersionIsTurnedOffAndOnInPlace(t *testing.T) {
	cloud, e := newRealCloud(t, "secretmanager.googleapis.com")
	e.create(secretToken, automatic("key"))
	off := edited(t, version("one"), false, "enabled")
	one := e.create(secretVersionToken, version("one"))
	assert.Empty(t, e.diff(one, off).GetReplaces())
	one = e.update(one, off)
	assert.Equal(t, "DISABLED", cloud.get(t, "/v1/"+one.id)["state"])
	assert.Equal(t, "one", one.state["secretData"], "what cannot be read is what it was")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(e.refresh(one), off).GetChanges())
	one = e.update(one, version("one"))
	assert.Equal(t, true, one.state["enabled"])
}

func TestHowAVersionGoesIsTheProgramsChoice(t *testing.T) {
	cloud, e := newRealCloud(t, "secretmanager.googleapis.com")
	e.create(secretToken, automatic("key"))
	for policy, want := range map[string]string{"DELETE": "DESTROYED", "DISABLE": "DISABLED", "ABANDON": "ENABLED"} {
		t.Run(policy, func(t *testing.T) {
			one := e.create(secretVersionToken, edited(t, version("x"), policy, "deletionPolicy"))
			require.NoError(t, e.delete(one))
			assert.Equal(t, want, cloud.get(t, "/v1/"+one.id)["state"])
		})
	}
}

func TestBinaryDataComesEncoded(t *testing.T) {
	cloud, e := newRealCloud(t, "secretmanager.googleapis.com")
	e.create(secretToken, automatic("key"))
	inputs := edited(t, version("AP8="), true, "isSecretDataBase64")
	one := e.create(secretVersionToken, inputs)
	payload := cloud.get(t, "/v1/"+one.id+":access")["payload"].(map[string]any)
	assert.Equal(t, "AP8=", payload["data"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(e.refresh(one), inputs).GetChanges())
}

func TestASecretsDataIsNeverInAnError(t *testing.T) {
	_, e := newRealCloud(t, "secretmanager.googleapis.com")
	_, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(secretVersionToken), Properties: toStruct(t, e.checked(secretVersionToken, version("hunter2")))})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "Secret [projects/4711/secrets/key] not found.")
	assert.NotContains(t, err.Error(), "hunter2")
	_, failures := e.check(secretVersionToken, map[string]any{"secret": "key", "secretData": "hunter2", "deletionPolicy": "KEEP"})
	require.Len(t, failures, 2)
	for _, failure := range failures {
		assert.NotContains(t, failure.GetReason(), "hunter2")
	}
}

func TestGrantsOnASecret(t *testing.T) {
	cloud, e := newRealCloud(t, "secretmanager.googleapis.com")
	e.create(secretToken, automatic("key"))
	accessor := "roles/secretmanager.secretAccessor"
	grant := map[string]any{"secretId": "projects/p1/secrets/key", "role": accessor, "member": reader}

	member := e.create(secretMemberToken, grant)
	assert.Equal(t, "projects/p1/secrets/key/"+accessor+"/"+reader, member.id)
	assert.Equal(t, member, e.refresh(member))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(member, edited(t, grant, "key", "secretId")).GetChanges(), "by its last part it is the same")
	assert.Equal(t, []string{"member"}, e.diff(member, edited(t, grant, "user:owner@example.com", "member")).GetReplaces())
	again := e.create(secretMemberToken, grant)
	assert.Equal(t, []any{map[string]any{"role": accessor, "members": []any{reader}}}, cloud.bindings(t))

	another := e.create(secretMemberToken, edited(t, grant, "user:owner@example.com", "member"))
	require.NoError(t, e.delete(again))
	assert.Empty(t, e.refresh(member).id, "a grant that was taken back is gone")
	assert.Equal(t, []any{map[string]any{"role": accessor, "members": []any{"user:owner@example.com"}}}, cloud.bindings(t), "others keep theirs")
	assert.Equal(t, another.id, e.refresh(another).id)

	binding := e.create(secretBindingToken, map[string]any{"secretId": "key", "role": accessor, "members": []any{reader}})
	assert.Equal(t, "projects/p1/secrets/key/"+accessor, binding.id)
	assert.Equal(t, []any{map[string]any{"role": accessor, "members": []any{reader}}}, cloud.bindings(t), "a binding has the last word")
	require.NoError(t, e.delete(binding))
	assert.Empty(t, cloud.bindings(t))

	imported := e.refresh(thing{token: secretMemberToken, id: "projects/p1/secrets/key " + accessor + " " + reader})
	assert.Empty(t, imported.id)
	_, err := e.rpc.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urnOf(secretMemberToken), Properties: toStruct(t, e.checked(secretMemberToken, edited(t, grant, "user:nobody@example.com", "member")))})
	assert.Equal(t, codes.Unknown, status.Code(err))
	assert.ErrorContains(t, err, "nobody@example.com does not exist")
}

// get asks the API itself.
func (c *realCloud) get(t *testing.T, path string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+c.token)
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	return decodeJSON(t, resp.Body)
}

func (c *realCloud) bindings(t *testing.T) any {
	t.Helper()
	return c.get(t, "/v1/projects/p1/secrets/key:getIamPolicy")["bindings"]
}
