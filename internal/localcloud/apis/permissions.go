package apis

import (
	"context"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// may tells whether the caller of ctx has a permission on a resource, whose name
// is canonical: as an owner, or by a role in a policy.
func (p *policies) may(ctx context.Context, permission, resource string) bool {
	who := callerOf(ctx)
	return who.err == nil && (who.owner || p.permits(who.email, permission, resource))
}

// heldPermissions answers which of the permissions the caller has on a
// resource, of those that this cloud knows.
func (p *policies) heldPermissions(ctx context.Context, resource string, req *iampb.TestIamPermissionsRequest) *iampb.TestIamPermissionsResponse {
	response := &iampb.TestIamPermissionsResponse{}
	for _, wanted := range req.GetPermissions() {
		if slices.Contains(knownPermissions, wanted) && p.may(ctx, wanted, resource) {
			response.Permissions = append(response.Permissions, wanted)
		}
	}
	return response
}

// knownPermissions are those that the rules ask for, and those that other parts
// of Google Cloud ask for on the same resources.
var knownPermissions = func() []string {
	known := []string{
		downloadArtifacts,
		uploadArtifacts,
		actAs,
		"run.routes.invoke",
		"logging.logEntries.list", // no log is kept here, but who may read one is known
		"logging.views.access",
		"cloudkms.cryptoKeyVersions.useToDecrypt",
		useKey,
		"serviceusage.services.use",
		"storage.buckets.create", // those on a bucket itself are asked for there
		"storage.buckets.delete",
	}
	for _, r := range rules {
		if r.permission != "" {
			known = append(known, r.permission)
		}
	}
	for _, kind := range policyKinds {
		known = append(known, kind.get, kind.set)
	}
	slices.Sort(known)
	return slices.Compact(known)
}()
