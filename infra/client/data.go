package client

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const daySeconds = 24 * 60 * 60

// bucket is the name of the client's. Project ids are unique in the world, and so
// is this.
func (a *ServerArgs) bucket() string {
	if a.Data.Bucket != "" {
		return a.Data.Bucket
	}
	return a.Project + "-" + a.name()
}

// newData is the client's own bucket, and gives its name; empty where there is none.
// What is not protected goes with all it holds: that a bucket is not empty Google says
// only when its turn comes, after the service is gone.
func (b *builder) newData() (pulumi.StringInput, error) {
	d := b.args.Data
	if !d.Enabled {
		return pulumi.String(""), nil
	}
	args := &storage.BucketArgs{
		Project:                  pulumi.String(b.args.Project),
		Location:                 pulumi.String(strings.ToUpper(b.args.Region)), // as Google gives it back
		Name:                     pulumi.String(b.args.bucket()),
		Labels:                   b.args.labels(),
		StorageClass:             pulumi.String("STANDARD"),
		UniformBucketLevelAccess: pulumi.Bool(true),
		PublicAccessPrevention:   pulumi.String("enforced"),
		ForceDestroy:             pulumi.Bool(!d.Protect),
		Versioning:               &storage.BucketVersioningArgs{Enabled: pulumi.Bool(d.Versioning)},
		SoftDeletePolicy:         &storage.BucketSoftDeletePolicyArgs{RetentionDurationSeconds: pulumi.Int(d.SoftDeleteDays * daySeconds)},
	}
	if d.Versioning { // or it would grow for ever
		args.LifecycleRules = storage.BucketLifecycleRuleArray{&storage.BucketLifecycleRuleArgs{
			Action:    &storage.BucketLifecycleRuleActionArgs{Type: pulumi.String("Delete")},
			Condition: &storage.BucketLifecycleRuleConditionArgs{DaysSinceNoncurrentTime: pulumi.Int(d.OldVersionDays)},
		}}
	}
	if d.RetentionDays > 0 && d.Protect { // what may be destroyed must not be retained
		args.RetentionPolicy = &storage.BucketRetentionPolicyArgs{RetentionPeriod: pulumi.Int(d.RetentionDays * daySeconds)}
	}
	if b.args.KMSKey != "" {
		args.Encryption = &storage.BucketEncryptionArgs{DefaultKmsKeyName: pulumi.String(b.args.KMSKey)}
	}
	bucket, err := storage.NewBucket(b.Context, b.child("data"), args, b.options([]string{"storage"}, b.afterAll(), pulumi.Protect(d.Protect))...)
	if err != nil {
		return nil, err
	}
	if _, err := storage.NewBucketIAMPolicy(b.Context, b.child("data"), &storage.BucketIAMPolicyArgs{
		Bucket: bucket.Name,
		PolicyData: b.member().ApplyT(func(server string) (string, error) {
			return bucketPolicy(server, b.args.Project)
		}).(pulumi.StringOutput),
		// The policy goes with its bucket. Taken away before, as an empty one, it
		// would leave nobody who may look into the bucket and empty it.
	}, pulumi.Parent(b.parent), pulumi.RetainOnDelete(true)); err != nil {
		return nil, err
	}
	return bucket.Name, nil
}

// bucketPolicy is all of a bucket's policy: the server may read and write objects,
// and the project's owners may manage the bucket and delete objects, but not read
// them. Google would let the project's editors and viewers in too. Without the
// owners, an operator who is one could not even see the bucket any more; another
// operator needs roles/storage.admin in the project.
func bucketPolicy(server, project string) (string, error) {
	type binding struct {
		Members []string `json:"members"`
		Role    string   `json:"role"`
	}
	policy, err := json.Marshal(struct {
		Bindings []binding `json:"bindings"`
	}{[]binding{
		{Members: []string{"projectOwner:" + project}, Role: "roles/storage.legacyBucketOwner"},
		{Members: []string{server}, Role: "roles/storage.objectUser"},
	}})
	if err != nil {
		return "", fmt.Errorf("writing the bucket's policy: %w", err)
	}
	return string(policy), nil
}
