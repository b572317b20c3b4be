package apis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/iam"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/storage"
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
