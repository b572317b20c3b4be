package types_test

import (
	"testing"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/kms"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudkms/v1"
	"google.golang.org/api/cloudresourcemanager/v1"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

func TestGrantsOfAProjectLeaveOthersAlone(t *testing.T) {
	const puller = "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	member, exempted := puller, enginetest.Operator
	stack := func() auto.Stack {
		return enginetest.Program(t, cloud, dir, []string{"artifactregistry.googleapis.com", "cloudkms.googleapis.com"}, func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
			repository, err := artifactregistry.NewRepository(ctx, "shared", &artifactregistry.RepositoryArgs{
				RepositoryId: pulumi.String("shared"), Format: pulumi.String("DOCKER"),
				CleanupPolicyDryRun: pulumi.Bool(false),
				CleanupPolicies: artifactregistry.RepositoryCleanupPolicyArray{
					artifactregistry.RepositoryCleanupPolicyArgs{
						Id: pulumi.String("keep-newest"), Action: pulumi.String("KEEP"),
						MostRecentVersions: artifactregistry.RepositoryCleanupPolicyMostRecentVersionsArgs{KeepCount: pulumi.Int(10)},
					},
					artifactregistry.RepositoryCleanupPolicyArgs{
						Id: pulumi.String("delete-old"), Action: pulumi.String("DELETE"),
						Condition: artifactregistry.RepositoryCleanupPolicyConditionArgs{TagState: pulumi.String("ANY"), OlderThan: pulumi.String("2592000s")},
					},
				},
			}, enabled)
			if err != nil {
				return err
			}
			if _, err := artifactregistry.NewRepositoryIamMember(ctx, "pull", &artifactregistry.RepositoryIamMemberArgs{
				Repository: repository.ID(), Role: pulumi.String("roles/artifactregistry.reader"), Member: pulumi.String(member),
			}); err != nil {
				return err
			}
			if _, err := kms.NewCryptoKeyIAMMember(ctx, "encrypt", &kms.CryptoKeyIAMMemberArgs{
				CryptoKeyId: pulumi.String(enginetest.Key), Role: pulumi.String("roles/cloudkms.cryptoKeyEncrypterDecrypter"), Member: pulumi.String(member),
			}, enabled); err != nil {
				return err
			}
			if _, err := projects.NewIAMMember(ctx, "view", &projects.IAMMemberArgs{
				Project: pulumi.String(enginetest.Project), Role: pulumi.String("roles/run.viewer"), Member: pulumi.String(member),
			}); err != nil {
				return err
			}
			_, err = projects.NewIAMAuditConfig(ctx, "audit", &projects.IAMAuditConfigArgs{
				Project: pulumi.String(enginetest.Project), Service: pulumi.String("run.googleapis.com"),
				AuditLogConfigs: projects.IAMAuditConfigAuditLogConfigArray{
					projects.IAMAuditConfigAuditLogConfigArgs{LogType: pulumi.String("DATA_READ"), ExemptedMembers: pulumi.ToStringArray([]string{"user:" + exempted})},
					projects.IAMAuditConfigAuditLogConfigArgs{LogType: pulumi.String("ADMIN_READ")},
				},
			})
			return err
		})
	}
	manager, err := cloudresourcemanager.NewService(t.Context(), enginetest.API(cloud)...)
	require.NoError(t, err)
	policy := func() *cloudresourcemanager.Policy {
		p, err := manager.Projects.GetIamPolicy(enginetest.Project, &cloudresourcemanager.GetIamPolicyRequest{}).Do()
		require.NoError(t, err)
		return p
	}
	keys, err := cloudkms.NewService(t.Context(), enginetest.API(cloud)...)
	require.NoError(t, err)

	enginetest.Up(t, stack())
	enginetest.Settled(t, stack())
	assert.Len(t, policy().AuditConfigs, 1)
	onKey, err := keys.Projects.Locations.KeyRings.CryptoKeys.GetIamPolicy(enginetest.Key).Do()
	require.NoError(t, err)
	require.Len(t, onKey.Bindings, 1)
	assert.Equal(t, []string{puller}, onKey.Bindings[0].Members)

	t.Run("an exemption changes in place, and grants beside it stay", func(t *testing.T) {
		byHand := policy()
		byHand.Bindings = append(byHand.Bindings, &cloudresourcemanager.Binding{Role: "roles/run.viewer", Members: []string{"user:" + enginetest.Ada}})
		_, err := manager.Projects.SetIamPolicy(enginetest.Project, &cloudresourcemanager.SetIamPolicyRequest{Policy: byHand}).Do()
		require.NoError(t, err)
		exempted = enginetest.Ada
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"update": 1}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("another member is another grant", func(t *testing.T) {
		member = "group:" + enginetest.AcmeGroup
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"replace": 3}, changed)
	})
	t.Run("destroy leaves what others granted", func(t *testing.T) {
		enginetest.Destroyed(t, cloud, stack())
		left := policy()
		assert.Empty(t, left.AuditConfigs)
		roles := map[string][]string{}
		for _, b := range left.Bindings {
			roles[b.Role] = b.Members
		}
		assert.Equal(t, map[string][]string{"roles/owner": {"user:" + enginetest.Operator}, "roles/run.viewer": {"user:" + enginetest.Ada}}, roles)
	})
}
