package apis_test

import (
	"net/http"
	"testing"

	"cloud.google.com/go/storage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
