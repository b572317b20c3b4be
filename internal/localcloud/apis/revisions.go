package apis

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// revisions tells about the revisions that services keep.
type revisions struct {
	runpb.UnimplementedRevisionsServer
	services *services
}

func (r *revisions) GetRevision(_ context.Context, req *runpb.GetRevisionRequest) (*runpb.Revision, error) {
	service, id, ok := strings.Cut(req.GetName(), "/revisions/")
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/locations/REGION/services/SERVICE/revisions/REVISION.", req.GetName())
	}
	name, at, err := r.services.canonical(service)
	if err != nil {
		return nil, err
	}
	r.services.mu.Lock()
	defer r.services.mu.Unlock()
	found, err := r.services.find(name, at)
	if err != nil {
		return nil, err
	}
	for _, revision := range found.revisions {
		if lastSegment(revision.GetName()) == id {
			return revision, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "Resource '%s' of kind 'REVISION' in region '%s' in project '%s' does not exist.", id, at.location, at.id)
}

// ListRevisions lists those of one service, or of every service in the region
// where the service is "-".
func (r *revisions) ListRevisions(_ context.Context, req *runpb.ListRevisionsRequest) (*runpb.ListRevisionsResponse, error) {
	name, at, err := r.services.canonical(req.GetParent())
	if err != nil {
		return nil, err
	}
	r.services.mu.Lock()
	defer r.services.mu.Unlock()
	var all []*runpb.Revision
	if lastSegment(name) == "-" {
		for other, found := range r.services.byName {
			if strings.HasPrefix(other, at.name()+"/") {
				all = append(all, found.revisions...)
			}
		}
	} else {
		found, err := r.services.find(name, at)
		if err != nil {
			return nil, err
		}
		all = slices.Clone(found.revisions)
	}
	slices.SortFunc(all, func(x, y *runpb.Revision) int { return cmp.Compare(x.GetName(), y.GetName()) })
	items, next, err := page(all, (*runpb.Revision).GetName, req.GetPageSize(), req.GetPageToken(), 1000)
	return &runpb.ListRevisionsResponse{Revisions: items, NextPageToken: next}, err
}

func (s *service) hasRevision(id string) bool {
	return slices.ContainsFunc(s.revisions, func(r *runpb.Revision) bool { return lastSegment(r.GetName()) == id })
}

// settleRevision records how the rollout of a revision went; services.mu is
// held.
func (s *service) settleRevision(in *services, id string, state runpb.Condition_State, message string) {
	for i, old := range s.revisions {
		if lastSegment(old.GetName()) != id {
			continue
		}
		next := proto.CloneOf(old)
		next.Reconciling = false
		next.ObservedGeneration = next.GetGeneration()
		next.UpdateTime = in.clock.stamp()
		next.Conditions = []*runpb.Condition{in.condition(conditionReady, state, message)}
		s.revisions[i] = next
	}
}
