package apis

import (
	"context"

	"cloud.google.com/go/iam/apiv1/iampb"
)

func (r *repositories) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := r.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return r.policies.get(name, req.GetOptions().GetRequestedPolicyVersion())
}

func (r *repositories) SetIamPolicy(_ context.Context, req *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := r.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return r.policies.set(name, req, repositoryRoles)
}

func (r *repositories) TestIamPermissions(ctx context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	name, err := r.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return r.policies.heldPermissions(ctx, name, req), nil
}

func (r *repositories) existing(resource string) (string, error) {
	name, _, err := r.canonical(resource)
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err = r.find(name)
	return name, err
}
