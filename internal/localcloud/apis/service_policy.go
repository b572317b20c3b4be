package apis

import (
	"context"

	"cloud.google.com/go/iam/apiv1/iampb"
)

func (s *services) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := s.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return s.policies.get(name, req.GetOptions().GetRequestedPolicyVersion())
}

func (s *services) SetIamPolicy(_ context.Context, req *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := s.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return s.policies.set(name, req, serviceRoles)
}

func (s *services) TestIamPermissions(ctx context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	name, err := s.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return s.policies.heldPermissions(ctx, name, req), nil
}

func (s *services) existing(resource string) (string, error) {
	name, at, err := s.canonical(resource)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.find(name, at)
	return name, err
}
