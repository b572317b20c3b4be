package apis

import (
	"context"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
)

// heldPermissions answers which of the permissions the caller has: an owner all
// that this cloud knows, anybody else none.
func heldPermissions(ctx context.Context, req *iampb.TestIamPermissionsRequest) *iampb.TestIamPermissionsResponse {
	response := &iampb.TestIamPermissionsResponse{}
	if !callerOf(ctx).owner {
		return response
	}
	for _, wanted := range req.GetPermissions() {
		if slices.Contains(knownPermissions, wanted) {
			response.Permissions = append(response.Permissions, wanted)
		}
	}
	return response
}

// knownPermissions are those that the rules ask for, and those that other parts
// of Google Cloud ask for on the same resources.
var knownPermissions = func() []string {
	known := []string{
		"artifactregistry.repositories.downloadArtifacts",
		"artifactregistry.repositories.uploadArtifacts",
		"iam.serviceAccounts.actAs",
		"run.routes.invoke",
	}
	for _, r := range rules {
		if r.permission != "" {
			known = append(known, r.permission)
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}()
