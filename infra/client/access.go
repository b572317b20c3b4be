package client

import (
	"slices"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudidentity"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newAccess lets in exactly the configured developers. The binding is
// authoritative: a grant made by hand is gone after the next update. It is on
// this service alone; on the project it would open every client's server.
func (b *builder) newAccess(service *cloudrunv2.Service) (*cloudrunv2.ServiceIamBinding, error) {
	if b.args.Viewer {
		// It goes with the service and is not taken away before: nothing guards it yet
		// if the update ends here.
		if _, err := b.bind("viewers", "roles/run.viewer", service, pulumi.DeletedWith(service)); err != nil {
			return nil, err
		}
	}
	return b.bind("developers", "roles/run.invoker", service, b.afterAll(), pulumi.Protect(b.args.protected()))
}

func (b *builder) bind(suffix, role string, service *cloudrunv2.Service, more ...pulumi.ResourceOption) (*cloudrunv2.ServiceIamBinding, error) {
	return cloudrunv2.NewServiceIamBinding(b.Context, b.child(suffix), &cloudrunv2.ServiceIamBindingArgs{
		Project:  pulumi.String(b.args.Project),
		Location: pulumi.String(b.args.Region),
		Name:     service.Name,
		Role:     pulumi.String(role),
		Members:  pulumi.ToStringArray(b.args.callers()),
	}, append(more, pulumi.Parent(b.parent))...)
}

// callers are who may call, as IAM members. A suspended server keeps its binding,
// without members: without the binding, a grant made by hand would stay.
func (a *ServerArgs) callers() []string {
	if a.Suspend {
		return []string{}
	}
	if a.Group.Email == "" {
		return a.Developers
	}
	return canonicalMembers(append(slices.Clone(a.Developers), "group:"+a.Group.Email))
}

// newGroup is the group that the stack owns, and its members. A person who is
// taken out of the configuration is out of the group.
func (b *builder) newGroup() error {
	g := b.args.Group
	if g.Email == "" {
		return nil
	}
	group, err := cloudidentity.NewGroup(b.Context, b.child("group"), &cloudidentity.GroupArgs{
		Parent:             pulumi.String("customers/" + g.Customer),
		GroupKey:           &cloudidentity.GroupGroupKeyArgs{Id: pulumi.String(g.Email)},
		DisplayName:        pulumi.String("Developers of " + b.args.Client),
		Description:        pulumi.String("May call the MCP server of " + b.args.Client + ". The stack's configuration says who is in it."),
		InitialGroupConfig: pulumi.String("EMPTY"), // not even who creates it
		Labels:             pulumi.StringMap{"cloudidentity.googleapis.com/groups.discussion_forum": pulumi.String("")},
	}, b.options([]string{"cloudidentity"})...)
	if err != nil {
		return err
	}
	for _, member := range g.Members {
		if _, err := cloudidentity.NewGroupMembership(b.Context, b.child("member-"+member), &cloudidentity.GroupMembershipArgs{
			Group:              group.ID(),
			PreferredMemberKey: &cloudidentity.GroupMembershipPreferredMemberKeyArgs{Id: pulumi.String(member)},
			Roles: cloudidentity.GroupMembershipRoleArray{
				&cloudidentity.GroupMembershipRoleArgs{Name: pulumi.String("MEMBER")},
			},
		}, pulumi.Parent(b.parent)); err != nil {
			return err
		}
	}
	return nil
}
