package types_test

import (
	"testing"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudidentity"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

// team is a group with its members, by e-mail, and their roles beside MEMBER.
type team struct {
	email, display string
	members        map[string][]string
}

func (g team) declare(ctx *pulumi.Context, enabled pulumi.ResourceOption) error {
	group, err := cloudidentity.NewGroup(ctx, "team", &cloudidentity.GroupArgs{
		Parent:      pulumi.String("customers/" + localcloud.Customer),
		GroupKey:    cloudidentity.GroupGroupKeyArgs{Id: pulumi.String(g.email)},
		DisplayName: pulumi.String(g.display),
		Labels:      pulumi.StringMap{"cloudidentity.googleapis.com/groups.discussion_forum": pulumi.String("")},
	}, enabled)
	if err != nil {
		return err
	}
	for member, roles := range g.members {
		all := cloudidentity.GroupMembershipRoleArray{cloudidentity.GroupMembershipRoleArgs{Name: pulumi.String("MEMBER")}}
		for _, role := range roles {
			all = append(all, cloudidentity.GroupMembershipRoleArgs{Name: pulumi.String(role)})
		}
		if _, err := cloudidentity.NewGroupMembership(ctx, member, &cloudidentity.GroupMembershipArgs{
			Group:              group.ID(),
			PreferredMemberKey: cloudidentity.GroupMembershipPreferredMemberKeyArgs{Id: pulumi.String(member)},
			Roles:              all,
		}); err != nil {
			return err
		}
	}
	return nil
}

func TestAGroupAndItsMembersComeAndGoWithTheirStack(t *testing.T) {
	const ada, bob, email = enginetest.Ada, "bob@example.com", "umbrella@example.com"
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	require.NoError(t, cloud.Directory().AddPerson(bob))
	want := team{email: email, display: "Umbrella", members: map[string][]string{ada: nil}}
	stack := func() auto.Stack {
		return enginetest.ProgramWith(t, cloud, dir, enginetest.Quota(), []string{"cloudidentity.googleapis.com"}, want.declare)
	}
	in := func(person string) bool { return cloud.Directory().Allows([]string{"group:" + want.email}, person) }

	_, changed := enginetest.Up(t, stack())
	assert.Equal(t, map[string]int{"create": 4}, changed, "the stack, the API, the group, a membership")
	assert.True(t, in(ada))
	assert.False(t, in(bob))
	enginetest.Settled(t, stack())

	t.Run("onboarding is a membership more, offboarding one less", func(t *testing.T) {
		want.members = map[string][]string{bob: {"MANAGER"}}
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"create": 1, "delete": 1}, changed)
		assert.False(t, in(ada))
		assert.True(t, in(bob))
		enginetest.Settled(t, stack())
	})
	t.Run("a role and a display name change in place", func(t *testing.T) {
		want.display, want.members = "Umbrella Ltd", map[string][]string{bob: {"OWNER"}}
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"update": 2}, changed)
		enginetest.Settled(t, stack())
	})
	t.Run("what was taken away by hand is made again", func(t *testing.T) {
		require.NoError(t, cloud.Directory().RemoveMember(email, bob))
		assert.Equal(t, map[string]int{"delete": 1}, enginetest.Refresh(t, stack()))
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"create": 1}, changed)
		assert.True(t, in(bob))
	})
	t.Run("another address is another group", func(t *testing.T) {
		want.email = "umbrella-2@example.com"
		_, changed := enginetest.Up(t, stack())
		assert.Equal(t, map[string]int{"replace": 2}, changed)
		assert.True(t, in(bob))
		assert.False(t, cloud.Directory().Exists("group:"+email))
	})
	t.Run("destroy leaves the people alone", func(t *testing.T) {
		enginetest.Destroyed(t, cloud, stack())
		assert.True(t, cloud.Directory().Exists("user:"+bob))
	})
}

func TestAGroupNeedsAQuotaProject(t *testing.T) {
	cloud := enginetest.StartCloud(t)
	want := team{email: "umbrella@example.com"}
	stack := enginetest.Program(t, cloud, t.TempDir(), nil, want.declare)
	_, err := stack.Up(t.Context())
	require.ErrorContains(t, err, "requires a quota project")
}
