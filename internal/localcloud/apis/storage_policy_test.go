package apis_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/iam"
	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attempts is what somebody may try with a bucket that holds the object "there".
var attempts = map[string]func(context.Context, *storage.BucketHandle) error{
	"list": func(ctx context.Context, b *storage.BucketHandle) error {
		_, err := b.Objects(ctx, nil).Next()
		return err
	},
	"read": func(ctx context.Context, b *storage.BucketHandle) error {
		_, err := read(ctx, b.Object("there"))
		return err
	},
	"look": func(ctx context.Context, b *storage.BucketHandle) error {
		_, err := b.Object("there").Attrs(ctx)
		return err
	},
	"create":    func(ctx context.Context, b *storage.BucketHandle) error { return write(ctx, b.Object("new"), "x") },
	"overwrite": func(ctx context.Context, b *storage.BucketHandle) error { return write(ctx, b.Object("there"), "x") },
	"change": func(ctx context.Context, b *storage.BucketHandle) error {
		_, err := b.Object("there").Update(ctx, storage.ObjectAttrsToUpdate{ContentType: "text/x"})
		return err
	},
	"copy": func(ctx context.Context, b *storage.BucketHandle) error {
		_, err := b.Object("copied").CopierFrom(b.Object("there")).Run(ctx)
		return err
	},
	"see the bucket": func(ctx context.Context, b *storage.BucketHandle) error { _, err := b.Attrs(ctx); return err },
	"grant": func(ctx context.Context, b *storage.BucketHandle) error {
		policy := &iam.Policy{}
		policy.Add("user:"+stranger, "roles/storage.admin")
		return b.IAM().SetPolicy(ctx, policy)
	},
}

func TestABucketsPolicyDecides(t *testing.T) {
	for title, tt := range map[string]struct {
		role    iam.RoleName
		member  string
		allowed []string
	}{
		"nothing":                {"roles/storage.admin", "user:" + owner, nil},
		"a viewer of objects":    {"roles/storage.objectViewer", "user:" + stranger, []string{"list", "read", "look"}},
		"a group of viewers":     {"roles/storage.objectViewer", "group:devs@example.com", []string{"list", "read", "look"}},
		"a creator of objects":   {"roles/storage.objectCreator", "user:" + stranger, []string{"create"}},
		"a user of objects":      {"roles/storage.objectUser", "user:" + stranger, []string{"list", "read", "look", "create", "overwrite", "change", "copy"}},
		"a reader of the bucket": {"roles/storage.legacyBucketReader", "user:" + stranger, []string{"list", "see the bucket"}},
		"an owner of the bucket": {"roles/storage.legacyBucketOwner", "user:" + stranger, []string{"list", "create", "overwrite", "see the bucket", "grant"}},
	} {
		for name, attempt := range attempts {
			t.Run(title+" may "+name, func(t *testing.T) {
				c, bucket := newBucketCloud(t)
				require.NoError(t, write(t.Context(), bucket.Object("there"), "secret"))
				setBindings(t, bucket, map[iam.RoleName][]string{tt.role: {tt.member}, "roles/storage.legacyBucketOwner": {"projectOwner:" + projectID}})
				if tt.role == "roles/storage.legacyBucketOwner" {
					setBindings(t, bucket, map[iam.RoleName][]string{tt.role: {tt.member, "projectOwner:" + projectID}})
				}
				err := attempt(t.Context(), c.storageAs(t, "stranger-token").Bucket("data"))
				want := http.StatusForbidden
				if slices.Contains(tt.allowed, name) {
					want = http.StatusOK
				}
				assert.Equal(t, want, refusal(t, err), "%v", err)
			})
		}
	}
}

// TestWithoutThePolicyEverythingIsOpen runs the same attempts against the store of
// objects itself: that they succeed shows that it is the policy that refuses.
func TestWithoutThePolicyEverythingIsOpen(t *testing.T) {
	bare, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Writer: io.Discard})
	require.NoError(t, err)
	l := listen(t)
	serve(t, l, bare.HTTPHandler())
	bare.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "data"})
	log.SetOutput(io.Discard)
	for name, attempt := range attempts {
		if name == "grant" {
			continue // it has no policies at all
		}
		for _, token := range []string{"stranger-token", ""} {
			bucket := storageAt(t, "http://"+l.Addr().String()+"/storage/v1/", token).Bucket("data")
			if name == "read" {
				continue // below: it reads at an address of its own
			}
			require.NoError(t, write(t.Context(), bucket.Object("there"), "secret"))
			assert.NoError(t, attempt(t.Context(), bucket), "%s with token %q", name, token)
		}
	}
	resp, err := http.Get("http://" + l.Addr().String() + "/download/storage/v1/b/data/o/there?alt=media")
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestWhoIsNotSignedInGetsNothing(t *testing.T) {
	c, bucket := newBucketCloud(t)
	require.NoError(t, write(t.Context(), bucket.Object("there"), "secret"))
	for name, attempt := range attempts {
		for _, token := range []string{"", "forged"} {
			err := attempt(t.Context(), c.storageAs(t, token).Bucket("data"))
			assert.Equal(t, http.StatusUnauthorized, refusal(t, err), "%s with token %q", name, token)
		}
	}
	for _, path := range []string{"/_internal/config", "/_internal/delete_all", "/batch/storage/v1", "/storage/v1/b/data/acl", "/storage/v1/b/data/o/there/acl", "/storage/v1/b/data/notificationConfigs"} {
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(c.storage, "/storage/v1/")+path, strings.NewReader("{}"))
			require.NoError(t, err)
			resp, err := bearer("owner-token").RoundTrip(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			assert.Equal(t, http.StatusNotImplemented, resp.StatusCode, "%s %s, even by the owner", method, path)
		}
	}
}

func TestAnOwnerOfTheProjectReadsNoObjectUnlessThePolicySaysSo(t *testing.T) {
	ctx := t.Context()
	_, bucket := newBucketCloud(t)
	require.NoError(t, write(ctx, bucket.Object("there"), "secret"))
	_, err := read(ctx, bucket.Object("there"))
	require.NoError(t, err, "Google's own policy for a new bucket lets owners in")

	setBindings(t, bucket, map[iam.RoleName][]string{"roles/storage.legacyBucketOwner": {"projectOwner:" + projectID}})
	_, err = read(ctx, bucket.Object("there"))
	assert.Equal(t, http.StatusForbidden, refusal(t, err))
	_, err = bucket.Attrs(ctx)
	require.NoError(t, err, "but manages it")
	require.NoError(t, bucket.Object("there").Delete(ctx))

	setBindings(t, bucket, nil)
	_, err = bucket.Attrs(ctx)
	assert.Equal(t, http.StatusForbidden, refusal(t, err), "a policy without owners shuts them out")
	require.NoError(t, bucket.Delete(ctx), "to delete it is the project's right")
}

func TestPublicAccessIsPreventedWhereTheBucketSaysSo(t *testing.T) {
	ctx := t.Context()
	c, bucket := newBucketCloud(t)
	require.NoError(t, write(ctx, bucket.Object("there"), "public"))
	public := &iam.Policy{}
	public.Add("allUsers", "roles/storage.objectViewer")
	public.Add("projectOwner:"+projectID, "roles/storage.legacyBucketOwner")
	require.NoError(t, bucket.IAM().SetPolicy(ctx, public))
	content, err := read(ctx, c.storageAs(t, "").Bucket("data").Object("there"))
	require.NoError(t, err)
	assert.Equal(t, "public", content)

	_, err = bucket.Update(ctx, storage.BucketAttrsToUpdate{PublicAccessPrevention: storage.PublicAccessPreventionEnforced})
	require.NoError(t, err)
	_, err = read(ctx, c.storageAs(t, "").Bucket("data").Object("there"))
	assert.Equal(t, http.StatusUnauthorized, refusal(t, err), "what was granted before counts no more")
	again := &iam.Policy{}
	again.Add("allUsers", "roles/storage.objectViewer")
	assert.Equal(t, http.StatusPreconditionFailed, refusal(t, bucket.IAM().SetPolicy(ctx, again)))
}
