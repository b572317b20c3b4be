package apis

import (
	"context"
	"fmt"
	"slices"

	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const monitoringAPI = "monitoring.googleapis.com"

// alertPolicies say when whom to tell what.
type alertPolicies struct {
	monitoringpb.UnimplementedAlertPolicyServiceServer
	access   *access
	clock    clock
	policies *shelf[*monitoringpb.AlertPolicy]
	channels *channels
	metrics  *metricNames
}

func (a *alertPolicies) GetAlertPolicy(_ context.Context, req *monitoringpb.GetAlertPolicyRequest) (*monitoringpb.AlertPolicy, error) {
	return a.policies.get(a.access.canonical(req.GetName()))
}

func (a *alertPolicies) ListAlertPolicies(_ context.Context, req *monitoringpb.ListAlertPoliciesRequest) (*monitoringpb.ListAlertPoliciesResponse, error) {
	if req.GetFilter() != "" || req.GetOrderBy() != "" {
		return nil, status.Error(codes.Unimplemented, "the local cloud lists every alert policy: leave filter and order_by out")
	}
	all, next, err := a.policies.below(a.access.canonical(req.GetName())+"/alertPolicies", req.GetPageSize(), req.GetPageToken(), 1000)
	return &monitoringpb.ListAlertPoliciesResponse{AlertPolicies: all, NextPageToken: next}, err
}

func (a *alertPolicies) CreateAlertPolicy(ctx context.Context, req *monitoringpb.CreateAlertPolicyRequest) (*monitoringpb.AlertPolicy, error) {
	made := &monitoringpb.AlertPolicy{}
	if req.GetAlertPolicy() != nil {
		made = proto.CloneOf(req.GetAlertPolicy())
	}
	number, err := newMonitoringNumber()
	if err != nil {
		return nil, err
	}
	project := a.access.canonical(req.GetName())
	made.Name = project + "/alertPolicies/" + number
	for _, c := range made.GetConditions() {
		c.Name = ""
	}
	if made.GetEnabled() == nil {
		made.Enabled = wrapperspb.Bool(true)
	}
	made.CreationRecord = &monitoringpb.MutationRecord{MutateTime: a.clock.stamp(), MutatedBy: callerOf(ctx).email}
	if err := a.finish(ctx, project, made); err != nil {
		return nil, err
	}
	return made, a.policies.add(made.GetName(), made)
}

func (a *alertPolicies) UpdateAlertPolicy(ctx context.Context, req *monitoringpb.UpdateAlertPolicyRequest) (*monitoringpb.AlertPolicy, error) {
	name := a.access.canonical(req.GetAlertPolicy().GetName())
	return a.policies.change(name, func(old *monitoringpb.AlertPolicy) (*monitoringpb.AlertPolicy, error) {
		next := proto.CloneOf(req.GetAlertPolicy())
		if paths := req.GetUpdateMask().GetPaths(); len(paths) > 0 {
			next = proto.CloneOf(old)
			if err := copyFields(next, req.GetAlertPolicy(), paths); err != nil {
				return nil, err
			}
		}
		next.Name, next.CreationRecord = old.GetName(), old.GetCreationRecord()
		if next.GetEnabled() == nil {
			next.Enabled = wrapperspb.Bool(true)
		}
		return next, a.finish(ctx, projectName(name), next)
	})
}

// finish checks a policy and names what is new in it.
func (a *alertPolicies) finish(ctx context.Context, project string, p *monitoringpb.AlertPolicy) error {
	if err := a.check(project, p); err != nil {
		return err
	}
	p.Validity = nil
	p.MutationRecord = &monitoringpb.MutationRecord{MutateTime: a.clock.stamp(), MutatedBy: callerOf(ctx).email}
	for _, c := range p.GetConditions() {
		if c.GetName() != "" {
			continue
		}
		number, err := newMonitoringNumber()
		if err != nil {
			return err
		}
		c.Name = p.GetName() + "/conditions/" + number
	}
	return nil
}

func (a *alertPolicies) DeleteAlertPolicy(_ context.Context, req *monitoringpb.DeleteAlertPolicyRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, a.policies.remove(a.access.canonical(req.GetName()), nil)
}

// users are the policies that a channel is in.
func (a *alertPolicies) users(channel string) []string {
	var users []string
	for _, name := range a.policies.names() {
		if p, err := a.policies.get(name); err == nil && slices.Contains(p.GetNotificationChannels(), channel) {
			users = append(users, name)
		}
	}
	return users
}

// forget takes a channel out of every policy.
func (a *alertPolicies) forget(channel string) {
	for _, name := range a.users(channel) {
		_, _ = a.policies.change(name, func(old *monitoringpb.AlertPolicy) (*monitoringpb.AlertPolicy, error) { // it may have gone
			next := proto.CloneOf(old)
			next.NotificationChannels = slices.DeleteFunc(next.NotificationChannels, func(c string) bool { return c == channel })
			return next, nil
		})
	}
}

// newMonitoringNumber names a policy or a channel, in 19 digits as Google does.
func newMonitoringNumber() (string, error) {
	const digits = 19
	number, err := newAccountNumber()
	if err != nil {
		return "", fmt.Errorf("naming it: %w", err)
	}
	return number[:digits], nil
}
