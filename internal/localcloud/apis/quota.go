package apis

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// quotaProjectHeader names the project that pays for a call.
const quotaProjectHeader = "X-Goog-User-Project"

// mustHaveQuota asks for a project that has an API on. Groups and budgets belong
// to no project, so a person must say whose API and quota it is. A service
// account has a project of its own.
func (a *access) mustHaveQuota(ctx context.Context, api string) error {
	who := callerOf(ctx)
	on, known := a.projects.find(who.quotaProject)
	if who.quotaProject == "" {
		var err error
		if on, err = a.accounts.projectOf(who.email); err != nil {
			return status.Error(codes.PermissionDenied, fmt.Sprintf("Your application is authenticating by using local Application Default Credentials. "+
				"The %s API requires a quota project, which is not set by default. "+
				"To learn how to set your quota project, see https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds .", api))
		}
		known = true
	}
	if !known {
		return denied("serviceusage.services.use", "projects/"+who.quotaProject)
	}
	return a.usage.mustBeEnabled(on, api)
}
