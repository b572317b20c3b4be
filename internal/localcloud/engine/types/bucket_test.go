package types_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABucketsLife(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	name, versioning, force := "acme-data", true, false
	stack := func() *auto.Stack {
		one := enginetest.Program(t, cloud, dir, []string{"iam.googleapis.com"}, func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
			account, err := serviceaccount.NewAccount(ctx, "server", &serviceaccount.AccountArgs{AccountId: pulumi.String("server-acme")}, enabled)
			if err != nil {
				return err
			}
			bucket, err := storage.NewBucket(ctx, "data", &storage.BucketArgs{
				Name: pulumi.String(name), Location: pulumi.String("EUROPE-WEST1"), ForceDestroy: pulumi.Bool(force),
				UniformBucketLevelAccess: pulumi.Bool(true), PublicAccessPrevention: pulumi.String("enforced"),
				Versioning:       &storage.BucketVersioningArgs{Enabled: pulumi.Bool(versioning)},
				SoftDeletePolicy: &storage.BucketSoftDeletePolicyArgs{RetentionDurationSeconds: pulumi.Int(0)},
			})
			if err != nil {
				return err
			}
			policy := account.Member.ApplyT(func(member string) (string, error) {
				data, err := json.Marshal(map[string]any{"bindings": []map[string]any{
					{"role": "roles/storage.legacyBucketOwner", "members": []string{"projectOwner:" + enginetest.Project}},
					{"role": "roles/storage.objectUser", "members": []string{member}},
				}})
				return string(data), err
			}).(pulumi.StringOutput)
			_, err = storage.NewBucketIAMPolicy(ctx, "only", &storage.BucketIAMPolicyArgs{Bucket: bucket.Name, PolicyData: policy})
			return err
		})
		return &one
	}
	up := func() map[string]int {
		_, changed := enginetest.Up(t, *stack())
		return changed
	}
	up()
	assert.Contains(t, cloud.Inventory(), "//storage.googleapis.com/projects/_/buckets/acme-data")
	assert.Empty(t, up())
	assert.Empty(t, enginetest.Refresh(t, *stack()))
	versioning = false
	assert.Equal(t, map[string]int{"update": 1}, up())
	assert.Empty(t, up())
	name = "acme-moved"
	assert.Equal(t, map[string]int{"replace": 2}, up(), "the bucket and what is granted on it")
	assert.Empty(t, enginetest.Refresh(t, *stack()))

	enginetest.PutObject(t, cloud, name, "goals.json")
	_, err := stack().Destroy(t.Context())
	require.ErrorContains(t, err, "acme-moved")
	assert.Contains(t, cloud.Inventory(), "//storage.googleapis.com/projects/_/buckets/acme-moved/objects/goals.json", "what it holds is not lost")
}

func TestADestroyedBucketLeavesNothing(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	stack := enginetest.Program(t, cloud, t.TempDir(), nil, func(ctx *pulumi.Context, _ pulumi.ResourceOption) error {
		_, err := storage.NewBucket(ctx, "data", &storage.BucketArgs{
			Location: pulumi.String("EU"), UniformBucketLevelAccess: pulumi.Bool(true), ForceDestroy: pulumi.Bool(true),
		})
		return err
	})
	enginetest.Up(t, stack)
	require.Len(t, cloud.Inventory(), 1)
	bucket := cloud.Inventory()[0]
	enginetest.PutObject(t, cloud, bucket[strings.LastIndexByte(bucket, '/')+1:], "goals.json")
	enginetest.Destroyed(t, cloud, stack)
}
