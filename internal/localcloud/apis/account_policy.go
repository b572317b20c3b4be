package apis

import (
	"context"

	"cloud.google.com/go/iam/apiv1/iampb"
)

func (a *accounts) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := a.resolve(req.GetResource())
	if err != nil {
		return nil, err
	}
	return a.policies.get(name, req.GetOptions().GetRequestedPolicyVersion())
}

func (a *accounts) SetIamPolicy(_ context.Context, req *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := a.resolve(req.GetResource())
	if err != nil {
		return nil, err
	}
	return a.policies.set(name, req, accountRoles)
}

func (a *accounts) TestIamPermissions(ctx context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	name, err := a.resolve(req.GetResource())
	if err != nil {
		return nil, err
	}
	return a.policies.heldPermissions(ctx, name, req), nil
}
