package apis

import (
	"context"
	"fmt"

	"cloud.google.com/go/orgpolicy/apiv2/orgpolicypb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	orgPolicyAPI = "orgpolicy.googleapis.com"
	// sharingConstraint says whose people policies may name.
	sharingConstraint = "iam.allowedPolicyMemberDomains"
)

// orgPolicies tells what the organization allows its projects: whom they may
// share with, which is the one constraint here.
type orgPolicies struct {
	orgpolicypb.UnimplementedOrgPolicyServer
	projects *projects
	// allowed is the only customer whose people policies may name, or "".
	allowed string
}

func (o *orgPolicies) GetEffectivePolicy(_ context.Context, req *orgpolicypb.GetEffectivePolicyRequest) (*orgpolicypb.Policy, error) {
	values, ok := match("projects/*/policies/*", req.GetName())
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/policies/CONSTRAINT.", req.GetName())
	}
	if values[1] != sharingConstraint {
		return nil, status.Errorf(codes.NotFound, "Constraint constraints/%s was not found: the local cloud has %s.", values[1], sharingConstraint)
	}
	on, _ := o.projects.find(values[0])
	rule := &orgpolicypb.PolicySpec_PolicyRule{Kind: &orgpolicypb.PolicySpec_PolicyRule_AllowAll{AllowAll: true}}
	if o.allowed != "" {
		rule.Kind = &orgpolicypb.PolicySpec_PolicyRule_Values{
			Values: &orgpolicypb.PolicySpec_PolicyRule_StringValues{AllowedValues: []string{"is:" + o.allowed}},
		}
	}
	return &orgpolicypb.Policy{
		Name: fmt.Sprintf("projects/%d/policies/%s", on.number, sharingConstraint),
		Spec: &orgpolicypb.PolicySpec{Rules: []*orgpolicypb.PolicySpec_PolicyRule{rule}},
	}, nil
}
