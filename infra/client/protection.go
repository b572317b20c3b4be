package client

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// A protected server is refused whole or not at all: Pulumi says no to each resource
// in its turn, and what came before has been changed or deleted by then. Two records
// in the state, which are nothing in Google Cloud, and the order of declaration see
// to it that a protected one always has the first turn:
//
//   - a move, or another name, comes to the place first, on which all else depends;
//   - a destroy comes to the guard first, which depends on all else;
//   - where the guard is not there yet, because an update failed, it comes to the
//     service or the bucket, which depend on all that was declared before them.

// protected says that the server must neither be destroyed nor moved.
func (a *ServerArgs) protected() bool {
	return a.Data.Enabled && a.Data.Protect || a.DeletionProtection
}

// newPlace notes where the server is and what it is called, and refuses another place
// or name to a protected one. Its input must not change for any other reason, nor from
// one version of Berth to the next.
func (b *builder) newPlace() (*pulumi.Stash, error) {
	return pulumi.NewStash(b.Context, b.child("place"), &pulumi.StashArgs{
		Input: pulumi.StringMap{
			"project": pulumi.String(b.args.Project),
			"region":  pulumi.String(b.args.Region),
			"name":    pulumi.String(b.args.name()),
		},
	},
		pulumi.Parent(b.parent),
		pulumi.ReplaceOnChanges([]string{"input"}),
		pulumi.Protect(b.args.protected()))
}

// newGuard refuses to destroy a protected server. It is there even if nothing is
// protected: to take it away would itself be a deletion, of something that was
// protected.
func (b *builder) newGuard() error {
	_, err := pulumi.NewStash(b.Context, b.child("guard"), &pulumi.StashArgs{
		Input: pulumi.String("set berth:data.protect and berth:deletionProtection to false, and update, before you destroy"),
	},
		pulumi.Parent(b.parent),
		b.afterAll(),
		pulumi.Protect(b.args.protected()))
	return err
}

// afterAll makes a resource depend on all that was declared before it.
func (b *builder) afterAll() pulumi.ResourceOption { return pulumi.DependsOn(b.children) }
