package types_test

import (
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/secretmanager"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
)

func TestASecretsLife(t *testing.T) {
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	owner, data, role := "ann", "hunter2", "roles/secretmanager.secretAccessor"
	stack := func() auto.Stack {
		apis := []string{"secretmanager.googleapis.com", "iam.googleapis.com"}
		return enginetest.Program(t, cloud, dir, apis, func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
			account, err := serviceaccount.NewAccount(ctx, "reader", &serviceaccount.AccountArgs{AccountId: pulumi.String("reader-acme")}, enabled)
			if err != nil {
				return err
			}
			secret, err := secretmanager.NewSecret(ctx, "key", &secretmanager.SecretArgs{
				SecretId:    pulumi.String("acme-key"),
				Labels:      pulumi.StringMap{"owner": pulumi.String(owner)},
				Replication: &secretmanager.SecretReplicationArgs{Auto: &secretmanager.SecretReplicationAutoArgs{}},
			}, enabled)
			if err != nil {
				return err
			}
			version, err := secretmanager.NewSecretVersion(ctx, "value", &secretmanager.SecretVersionArgs{
				Secret: secret.ID(), SecretData: pulumi.ToSecret(pulumi.String(data)).(pulumi.StringOutput),
			})
			if err != nil {
				return err
			}
			ctx.Export("version", version.Version)
			if _, err := secretmanager.NewSecretIamBinding(ctx, "readers", &secretmanager.SecretIamBindingArgs{
				SecretId: secret.SecretId, Role: pulumi.String(role), Members: pulumi.StringArray{account.Member},
			}); err != nil {
				return err
			}
			_, err = secretmanager.NewSecretIamMember(ctx, "viewer", &secretmanager.SecretIamMemberArgs{
				SecretId: secret.SecretId, Role: pulumi.String("roles/secretmanager.viewer"), Member: account.Member,
			})
			return err
		})
	}
	secret := "//secretmanager.googleapis.com/projects/" + enginetest.Project + "/secrets/acme-key"

	outputs, _ := enginetest.Up(t, stack())
	assert.Equal(t, "1", outputs["version"].Value)
	assert.Contains(t, cloud.Inventory(), secret+"/versions/1")
	assert.NotContains(t, enginetest.EverythingBelow(t, dir), data, "the state holds the value encrypted")

	_, changed := enginetest.Up(t, stack())
	assert.Empty(t, changed)
	assert.Empty(t, enginetest.Refresh(t, stack()))

	owner = "bob"
	_, changed = enginetest.Up(t, stack())
	assert.Equal(t, map[string]int{"update": 1}, changed)

	data = "correct horse"
	outputs, changed = enginetest.Up(t, stack())
	assert.Equal(t, map[string]int{"replace": 1}, changed)
	assert.Equal(t, "2", outputs["version"].Value)
	assert.NotContains(t, cloud.Inventory(), secret+"/versions/1", "destroyed")
	assert.NotContains(t, enginetest.EverythingBelow(t, dir), data)

	role = "roles/secretmanager.secretVersionAdder"
	_, changed = enginetest.Up(t, stack())
	assert.Equal(t, map[string]int{"replace": 1}, changed, "a binding of another role is another binding")
	assert.Empty(t, enginetest.Refresh(t, stack()))

	last := stack()
	enginetest.Destroyed(t, cloud, last)
}
