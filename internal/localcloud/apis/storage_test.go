package apis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/iam"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
)

// storageAs is the official client with somebody's token, or with none.
func (c *cloud) storageAs(t *testing.T, token string) *storage.Client {
	t.Helper()
	return storageAt(t, c.storage, token)
}

func storageAt(t *testing.T, endpoint, token string) *storage.Client {
	t.Helper()
	options := []option.ClientOption{option.WithEndpoint(endpoint), option.WithHTTPClient(&http.Client{Transport: bearer(token)})}
	if token == "" {
		options = []option.ClientOption{option.WithEndpoint(endpoint), option.WithHTTPClient(&http.Client{})}
	}
	client, err := storage.NewClient(t.Context(), options...)
	require.NoError(t, err)
	client.SetRetry(storage.WithPolicy(storage.RetryNever))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// uniform is the least of a bucket.
func uniform() *storage.BucketAttrs {
	return &storage.BucketAttrs{Location: "EUROPE-WEST1", UniformBucketLevelAccess: storage.UniformBucketLevelAccess{Enabled: true}}
}

// newBucketCloud has the bucket "data", made by the owner.
func newBucketCloud(t *testing.T) (*cloud, *storage.BucketHandle) {
	t.Helper()
	c := newCloud(t)
	bucket := c.storageAs(t, "owner-token").Bucket("data")
	require.NoError(t, bucket.Create(t.Context(), projectID, uniform()))
	return c, bucket
}

func write(ctx context.Context, object *storage.ObjectHandle, content string) error {
	w := object.NewWriter(ctx)
	if _, err := io.WriteString(w, content); err != nil {
		return err
	}
	return w.Close()
}

func read(ctx context.Context, object *storage.ObjectHandle) (string, error) {
	r, err := object.NewReader(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	return string(content), err
}

// refusal is the HTTP status of an error, 200 for none.
func refusal(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	if errors.Is(err, storage.ErrObjectNotExist) || errors.Is(err, storage.ErrBucketNotExist) {
		return http.StatusNotFound
	}
	var refused *googleapi.Error
	require.ErrorAs(t, err, &refused)
	return refused.Code
}

func setBindings(t *testing.T, bucket *storage.BucketHandle, byRole map[iam.RoleName][]string) {
	t.Helper()
	policy := &iam.Policy{InternalProto: &iampb.Policy{}}
	for role, members := range byRole {
		for _, member := range members {
			policy.Add(member, role)
		}
	}
	require.NoError(t, bucket.IAM().SetPolicy(t.Context(), policy))
}

func TestAnOfficialClientKeepsObjects(t *testing.T) {
	ctx := t.Context()
	c, bucket := newBucketCloud(t)
	object := bucket.Object("goals/acme ünd.json")
	require.NoError(t, write(ctx, object, "one"))
	content, err := read(ctx, object)
	require.NoError(t, err)
	assert.Equal(t, "one", content)
	first, err := object.Attrs(ctx)
	require.NoError(t, err)

	require.NoError(t, write(ctx, object, strings.Repeat("large ", 100_000)))
	second, err := object.Attrs(ctx)
	require.NoError(t, err)
	assert.Greater(t, second.Generation, first.Generation)
	updated, err := object.Update(ctx, storage.ObjectAttrsToUpdate{Metadata: map[string]string{"by": "ann"}})
	require.NoError(t, err)
	assert.Equal(t, "ann", updated.Metadata["by"])
	_, err = bucket.Object("copy").CopierFrom(object).Run(ctx)
	require.NoError(t, err)
	_, err = bucket.Object("both").ComposerFrom(object, bucket.Object("copy")).Run(ctx)
	require.NoError(t, err)

	var names []string
	for objects := bucket.Objects(ctx, nil); ; {
		attrs, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		require.NoError(t, err)
		names = append(names, attrs.Name)
	}
	assert.Equal(t, []string{"both", "copy", "goals/acme ünd.json"}, names)
	assert.Contains(t, c.apis.Inventory(), "//storage.googleapis.com/projects/_/buckets/data/objects/copy")
	assert.Equal(t, http.StatusConflict, refusal(t, bucket.Delete(ctx)), "it is not empty")
	for _, name := range names {
		require.NoError(t, bucket.Object(name).Delete(ctx))
	}
	_, err = read(ctx, object)
	require.ErrorIs(t, err, storage.ErrObjectNotExist)
	require.NoError(t, bucket.Delete(ctx))
	assert.Empty(t, c.apis.Inventory())
}

func TestAResumableUploadIsItsOwnersAlone(t *testing.T) {
	ctx := t.Context()
	c, bucket := newBucketCloud(t)
	w := bucket.Object("large").NewWriter(ctx)
	w.ChunkSize = googleapi.MinUploadChunkSize
	_, err := w.Write(bytes.Repeat([]byte("x"), 3*googleapi.MinUploadChunkSize+1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	attrs, err := bucket.Object("large").Attrs(ctx)
	require.NoError(t, err)
	assert.EqualValues(t, 3*googleapi.MinUploadChunkSize+1, attrs.Size)

	setBindings(t, bucket, map[iam.RoleName][]string{
		"roles/storage.objectAdmin": {"user:" + owner, "user:" + stranger}, "roles/storage.legacyBucketOwner": {"projectOwner:" + projectID},
	})
	endpoint := strings.TrimSuffix(c.storage, "/storage/v1/")
	begun, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/upload/storage/v1/b/data/o?uploadType=resumable&name=mine", strings.NewReader("{}"))
	require.NoError(t, err)
	res, err := bearer("owner-token").RoundTrip(begun)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	location := res.Header.Get("Location")
	require.True(t, strings.HasPrefix(location, endpoint+"/upload/"), location)
	for token, want := range map[string]int{"stranger-token": http.StatusNotFound, "owner-token": http.StatusOK} {
		put, err := http.NewRequestWithContext(ctx, http.MethodPut, location, strings.NewReader("content"))
		require.NoError(t, err)
		res, err := bearer(token).RoundTrip(put)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, want, res.StatusCode, token)
	}
}

func TestPreconditionsDecideAboutGenerations(t *testing.T) {
	ctx := t.Context()
	_, bucket := newBucketCloud(t)
	object := bucket.Object("o")
	absent := object.If(storage.Conditions{DoesNotExist: true})
	require.NoError(t, write(ctx, absent, "one"))
	assert.Equal(t, http.StatusPreconditionFailed, refusal(t, write(ctx, absent, "two")))

	attrs, err := object.Attrs(ctx)
	require.NoError(t, err)
	current, stale := storage.Conditions{GenerationMatch: attrs.Generation}, storage.Conditions{GenerationMatch: attrs.Generation - 1}
	for name, do := range map[string]func(*storage.ObjectHandle) error{
		"writing":  func(o *storage.ObjectHandle) error { return write(ctx, o, "stale") },
		"reading":  func(o *storage.ObjectHandle) error { _, err := read(ctx, o); return err },
		"looking":  func(o *storage.ObjectHandle) error { _, err := o.Attrs(ctx); return err },
		"deleting": func(o *storage.ObjectHandle) error { return o.Delete(ctx) },
		"changing": func(o *storage.ObjectHandle) error {
			_, err := o.Update(ctx, storage.ObjectAttrsToUpdate{ContentType: "text/x"})
			return err
		},
		"copying onto": func(o *storage.ObjectHandle) error { _, err := o.CopierFrom(object).Run(ctx); return err },
	} {
		assert.Equal(t, http.StatusPreconditionFailed, refusal(t, do(object.If(stale))), name)
	}
	content, err := read(ctx, object.If(current))
	require.NoError(t, err)
	assert.Equal(t, "one", content, "nothing was changed")
	require.NoError(t, write(ctx, object.If(current), "two"))
	assert.Equal(t, http.StatusPreconditionFailed, refusal(t, object.If(current).Delete(ctx)))
	assert.Equal(t, http.StatusPreconditionFailed, refusal(t, object.If(storage.Conditions{GenerationNotMatch: generationOf(t, object)}).Delete(ctx)))
	require.NoError(t, object.If(storage.Conditions{GenerationMatch: generationOf(t, object)}).Delete(ctx))
}

func generationOf(t *testing.T, object *storage.ObjectHandle) int64 {
	t.Helper()
	attrs, err := object.Attrs(t.Context())
	require.NoError(t, err)
	return attrs.Generation
}

func TestOfManyWhoWriteTheSameGenerationOneWins(t *testing.T) {
	ctx := t.Context()
	_, bucket := newBucketCloud(t)
	object := bucket.Object("o")
	require.NoError(t, write(ctx, object, "0"))
	current := object.If(storage.Conditions{GenerationMatch: generationOf(t, object)})
	const writers = 8
	results := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() { results[i] = write(ctx, current, fmt.Sprint(i+1)) })
	}
	group.Wait()
	won := 0
	for i, err := range results {
		if err == nil {
			won++
			content, err := read(ctx, object)
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint(i+1), content)
		} else {
			assert.Equal(t, http.StatusPreconditionFailed, refusal(t, err))
		}
	}
	assert.Equal(t, 1, won)
}

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

func TestRetentionAndVersionsKeepWhatWasWritten(t *testing.T) {
	ctx := t.Context()
	c := newCloud(t)
	client := c.storageAs(t, "owner-token")
	retained := uniform()
	retained.RetentionPolicy = &storage.RetentionPolicy{RetentionPeriod: 3600e9}
	kept := client.Bucket("retained")
	require.NoError(t, kept.Create(ctx, projectID, retained))
	require.NoError(t, write(ctx, kept.Object("o"), "one"))
	assert.Equal(t, http.StatusForbidden, refusal(t, write(ctx, kept.Object("o"), "two")))
	assert.Equal(t, http.StatusForbidden, refusal(t, kept.Object("o").Delete(ctx)))

	versions := uniform()
	versions.VersioningEnabled = true
	bucket := client.Bucket("versions")
	require.NoError(t, bucket.Create(ctx, projectID, versions))
	object := bucket.Object("o")
	require.NoError(t, write(ctx, object, "one"))
	first := generationOf(t, object)
	require.NoError(t, write(ctx, object, "two"))
	require.NoError(t, object.Delete(ctx))
	old, err := read(ctx, object.Generation(first))
	require.NoError(t, err)
	assert.Equal(t, "one", old)
	assert.Equal(t, http.StatusConflict, refusal(t, bucket.Delete(ctx)), "old versions count")
}

func TestABucketReadsLikeGooglesAndIsChangedInPlace(t *testing.T) {
	ctx := t.Context()
	_, bucket := newBucketCloud(t)
	attrs, err := bucket.Attrs(ctx)
	require.NoError(t, err)
	assert.Equal(t, "EUROPE-WEST1", attrs.Location)
	assert.Equal(t, "STANDARD", attrs.StorageClass)
	assert.EqualValues(t, projectNumber, attrs.ProjectNumber)
	assert.EqualValues(t, 7*24*3600e9, attrs.SoftDeletePolicy.RetentionDuration)
	assert.EqualValues(t, 1, attrs.MetaGeneration)

	update := storage.BucketAttrsToUpdate{VersioningEnabled: true, SoftDeletePolicy: &storage.SoftDeletePolicy{RetentionDuration: 0}}
	update.SetLabel("client", "acme")
	attrs, err = bucket.If(storage.BucketConditions{MetagenerationMatch: 1}).Update(ctx, update)
	require.NoError(t, err)
	assert.True(t, attrs.VersioningEnabled)
	assert.Equal(t, map[string]string{"client": "acme"}, attrs.Labels)
	assert.Zero(t, attrs.SoftDeletePolicy.RetentionDuration)
	assert.EqualValues(t, 2, attrs.MetaGeneration)
	_, err = bucket.If(storage.BucketConditions{MetagenerationMatch: 1}).Update(ctx, update)
	assert.Equal(t, http.StatusPreconditionFailed, refusal(t, err))
	var without storage.BucketAttrsToUpdate
	without.DeleteLabel("client")
	attrs, err = bucket.Update(ctx, without)
	require.NoError(t, err)
	assert.Empty(t, attrs.Labels)
	held, err := bucket.IAM().TestPermissions(ctx, []string{"storage.buckets.update", "storage.objects.get"})
	require.NoError(t, err)
	assert.Equal(t, []string{"storage.buckets.update", "storage.objects.get"}, held)
}

func TestABucketThatCannotBeIsRefused(t *testing.T) {
	ctx := t.Context()
	c, _ := newBucketCloud(t)
	client := c.storageAs(t, "owner-token")
	for title, tt := range map[string]struct {
		name   string
		change func(*storage.BucketAttrs)
		code   int
		says   string
	}{
		"a name that is taken":       {"data", func(*storage.BucketAttrs) {}, http.StatusConflict, "you already own it"},
		"a name with capitals":       {"Data", func(*storage.BucketAttrs) {}, http.StatusBadRequest, "Invalid bucket name: 'Data'"},
		"a name of Google's":         {"google-data", func(*storage.BucketAttrs) {}, http.StatusBadRequest, "Invalid bucket name"},
		"nowhere":                    {"new", func(b *storage.BucketAttrs) { b.Location = "MARS" }, http.StatusBadRequest, "MARS"},
		"a class that is none":       {"new", func(b *storage.BucketAttrs) { b.StorageClass = "HOT" }, http.StatusBadRequest, `"HOT"`},
		"access by object":           {"new", func(b *storage.BucketAttrs) { b.UniformBucketLevelAccess.Enabled = false }, http.StatusNotImplemented, "uniformBucketLevelAccess"},
		"a website":                  {"new", func(b *storage.BucketAttrs) { b.Website = &storage.BucketWebsite{MainPageSuffix: "x"} }, http.StatusNotImplemented, "website"},
		"soft deletion for a minute": {"new", func(b *storage.BucketAttrs) { b.SoftDeletePolicy = &storage.SoftDeletePolicy{RetentionDuration: 60e9} }, http.StatusBadRequest, "60 is neither 0"},
	} {
		t.Run(title, func(t *testing.T) {
			attrs := uniform()
			tt.change(attrs)
			err := client.Bucket(tt.name).Create(ctx, projectID, attrs)
			assert.Equal(t, tt.code, refusal(t, err))
			assert.ErrorContains(t, err, tt.says)
		})
	}
	err := c.storageAs(t, "stranger-token").Bucket("theirs").Create(ctx, projectID, uniform())
	assert.Equal(t, http.StatusForbidden, refusal(t, err))
	assert.Equal(t, http.StatusForbidden, refusal(t, client.Bucket("theirs").Create(ctx, "nowhere", uniform())))
	_, err = client.Bucket("missing").Attrs(ctx)
	assert.Equal(t, http.StatusNotFound, refusal(t, err))
}
