package provider

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	bucketToken       = "gcp:storage/bucket:Bucket"
	bucketPolicyToken = "gcp:storage/bucketIAMPolicy:BucketIAMPolicy"
	bucketMemberToken = "gcp:storage/bucketIAMMember:BucketIAMMember"
)

func bucket() map[string]any {
	return map[string]any{
		"name": "acme-data", "location": "EUROPE-WEST1", "uniformBucketLevelAccess": true, "publicAccessPrevention": "enforced",
		"versioning":       map[string]any{"enabled": true},
		"softDeletePolicy": map[string]any{"retentionDurationSeconds": 864000},
		"lifecycleRules": []any{map[string]any{
			"action":    map[string]any{"type": "Delete"},
			"condition": map[string]any{"daysSinceNoncurrentTime": 30, "matchesPrefixes": []any{"tmp/"}},
		}},
		"labels": map[string]any{"client": "acme"},
	}
}

func TestBucket(t *testing.T) {
	cloud, e := newRealCloud(t)
	made := e.create(bucketToken, bucket())
	assert.Equal(t, "acme-data", made.id)
	assert.Equal(t, "gs://acme-data", made.state["url"])
	assert.Equal(t, 4711.0, made.state["projectNumber"])
	assert.Equal(t, "STANDARD", made.state["storageClass"])
	assert.Equal(t, made, e.refresh(made))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(made, bucket()).GetChanges())
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(made, edited(t, bucket(), "europe-west1", "location")).GetChanges(), "a place has no case")

	for name, tt := range map[string]struct {
		path  string
		value any
	}{
		"no versions":            {"versioning", nil},
		"versions that are off":  {"versioning", map[string]any{"enabled": false}},
		"no lifecycle":           {"lifecycleRules", nil},
		"retention":              {"retentionPolicy", map[string]any{"retentionPeriod": 86400}},
		"no soft deletion":       {"softDeletePolicy", map[string]any{"retentionDurationSeconds": 0}},
		"another label":          {"labels", map[string]any{"owner": "ann"}},
		"the public not refused": {"publicAccessPrevention", "inherited"},
		"another class":          {"storageClass", "NEARLINE"},
		"live objects only":      {"lifecycleRules", []any{map[string]any{"action": map[string]any{"type": "Delete"}, "condition": map[string]any{"age": 3, "withState": "LIVE"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := edited(t, bucket(), tt.value, tt.path)
			if name == "retention" {
				delete(changed, "versioning") // the two together are untried
			}
			assert.Empty(t, e.diff(made, changed).GetReplaces())
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, e.diff(made, changed).GetChanges())
			after := e.update(made, changed)
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(e.refresh(after), changed).GetChanges())
			back := e.update(after, bucket())
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(e.refresh(back), bucket()).GetChanges())
		})
	}
	for path, value := range map[string]any{"location": "US", "name": "other-data", "project": "p2"} {
		assert.Equal(t, []string{path}, e.diff(made, edited(t, bucket(), value, path)).GetReplaces())
	}
	assert.Equal(t, "acme-data", e.refresh(thing{token: bucketToken, id: "p1/acme-data"}).id)

	require.NoError(t, e.delete(made))
	assert.Empty(t, e.refresh(made).id)
	assert.Empty(t, cloud.Inventory())
}

func TestABucketWithObjectsGoesOnlyByForce(t *testing.T) {
	cloud, e := newRealCloud(t)
	made := e.create(bucketToken, bucket())
	put := func() {
		cloud.send(t, http.MethodPost, "/upload/storage/v1/b/acme-data/o?uploadType=media&name=goals/a.json", "{}")
	}
	put()
	put() // the first is an old version now
	require.ErrorContains(t, e.delete(made), "containing objects without `force_destroy` set to true")
	forced := e.update(made, edited(t, bucket(), true, "forceDestroy"))
	require.NoError(t, e.delete(forced))
	assert.Empty(t, cloud.Inventory())
}

func policyData(t *testing.T, bindings ...map[string]any) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"bindings": bindings})
	require.NoError(t, err)
	return string(data)
}

func TestBucketIAMPolicyIsAllThereIs(t *testing.T) {
	cloud, e := newRealCloud(t)
	e.create(bucketToken, bucket())
	owners := map[string]any{"role": "roles/storage.legacyBucketOwner", "members": []any{"projectOwner:p1"}}
	users := map[string]any{"role": "roles/storage.objectUser", "members": []any{reader}}
	inputs := map[string]any{"bucket": "acme-data", "policyData": policyData(t, owners, users)}
	policy := e.create(bucketPolicyToken, inputs)
	assert.Equal(t, "b/acme-data", policy.id)
	assert.Equal(t, []any{owners, users}, cloud.get(t, "/storage/v1/b/acme-data/iam")["bindings"], "what Google grants at first is gone")
	assert.Equal(t, policy, e.refresh(policy))
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(policy, edited(t, inputs, policyData(t, users, owners), "policyData")).GetChanges(), "in whatever order")

	member := e.create(bucketMemberToken, map[string]any{"bucket": "acme-data", "role": "roles/storage.admin", "member": "user:owner@example.com"})
	assert.Equal(t, "b/acme-data/roles/storage.admin/user:owner@example.com", member.id)
	assert.Equal(t, member, e.refresh(member))
	drifted := e.refresh(policy)
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, e.diff(drifted, inputs).GetChanges(), "a grant by hand is seen")
	policy = e.update(drifted, inputs)
	assert.Empty(t, e.refresh(member).id, "and taken back")

	require.NoError(t, e.delete(e.refresh(policy)))
	assert.Equal(t, http.StatusForbidden, cloud.status(t, "/storage/v1/b/acme-data"), "nobody is left in it, as on Google Cloud")
	_, failures := e.check(bucketPolicyToken, edited(t, inputs, "roles", "policyData"))
	assert.Len(t, failures, 1)
}

func (c *realCloud) send(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp
}

func (c *realCloud) status(t *testing.T, path string) int {
	t.Helper()
	return c.send(t, http.MethodGet, path, "").StatusCode
}
