package apis

import (
	"context"
	"maps"
	"slices"

	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// grants are the policies on what has no service of its own for them: projects
// and keys.
type grants struct {
	iampb.UnimplementedIAMPolicyServer
	keys     *keys
	access   *access
	policies *policies
}

// policyKind is a kind of resource with a policy, and who may do what with that.
type policyKind struct {
	pattern  string
	api      string // that must be enabled, or "": always on
	get, set string // permissions
	roles    func() []string
	exists   func(g *grants, name string) bool
}

var policyKinds = []policyKind{{
	pattern: "projects/*",
	get:     "resourcemanager.projects.getIamPolicy", set: "resourcemanager.projects.setIamPolicy",
	roles:  func() []string { return slices.Sorted(maps.Keys(roles)) },
	exists: func(*grants, string) bool { return true },
}, {
	pattern: "projects/*/locations/*/keyRings/*/cryptoKeys/*",
	api:     keysAPI,
	get:     "cloudkms.cryptoKeys.getIamPolicy", set: "cloudkms.cryptoKeys.setIamPolicy",
	roles:  func() []string { return keyRoles },
	exists: func(g *grants, name string) bool { return g.keys.has(name) },
}}

// find gives the canonical name of what a policy is on, and its kind.
func (g *grants) find(resource string) (string, policyKind, error) {
	for _, kind := range policyKinds {
		if _, ok := match(kind.pattern, resource); !ok {
			continue
		}
		on, err := g.access.projectOf(resource)
		if err != nil {
			return "", kind, err
		}
		if kind.api != "" {
			if err := g.access.usage.mustBeEnabled(on, kind.api); err != nil {
				return "", kind, err
			}
		}
		name := g.access.canonical(resource)
		if !kind.exists(g, name) {
			return "", kind, status.Errorf(codes.NotFound, "%s not found.", resource)
		}
		return name, kind, nil
	}
	return "", policyKind{}, status.Errorf(codes.InvalidArgument, "There is no IAM policy on %q here.", resource)
}

func (g *grants) GetIamPolicy(ctx context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	name, kind, err := g.find(req.GetResource())
	if err != nil {
		return nil, err
	}
	if !g.policies.may(ctx, kind.get, name) {
		return nil, denied(kind.get, req.GetResource())
	}
	return g.policies.get(name, req.GetOptions().GetRequestedPolicyVersion())
}

func (g *grants) SetIamPolicy(ctx context.Context, req *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	name, kind, err := g.find(req.GetResource())
	if err != nil {
		return nil, err
	}
	if !g.policies.may(ctx, kind.set, name) {
		return nil, denied(kind.set, req.GetResource())
	}
	return g.policies.set(name, req, kind.roles())
}

func (g *grants) TestIamPermissions(ctx context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	name, _, err := g.find(req.GetResource())
	if err != nil {
		return nil, err
	}
	return g.policies.heldPermissions(ctx, name, req), nil
}
