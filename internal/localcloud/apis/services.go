package apis

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// serviceRoles may be granted on a Cloud Run service.
var serviceRoles = []string{
	"roles/editor", "roles/owner", "roles/run.admin", "roles/run.developer", "roles/run.invoker",
	"roles/run.servicesInvoker", "roles/run.viewer", "roles/viewer",
}

// services are the Cloud Run services of all projects.
type services struct {
	runpb.UnimplementedServicesServer
	projects   *projects
	operations *operations
	policies   *policies
	accounts   *accounts
	keys       *keys
	registry   *registry
	platform   Platform
	tasks      *tasks
	clock      clock
	logger     *slog.Logger

	mu     sync.Mutex
	byName map[string]*service
}

// service is a service with its history. Its fields are guarded by services.mu.
type service struct {
	state     *runpb.Service    // replaced, never changed
	revisions []*runpb.Revision // oldest first; replaced, never changed
	made      int               // revisions so far
	rollout   *rollout          // the one under way, or nil
	deleting  bool
}

func (s *services) place(parent string) (place, error) {
	values, ok := match("projects/*/locations/*", parent)
	if !ok {
		return place{}, status.Errorf(codes.InvalidArgument, "Invalid parent %q: expected projects/PROJECT/locations/REGION.", parent)
	}
	on, _ := s.projects.find(values[0])
	if !isRegion(values[1]) && values[1] != "-" {
		return place{}, noLocation(values[1])
	}
	return place{on, values[1]}, nil
}

func noLocation(name string) error {
	return status.Errorf(codes.InvalidArgument, "Location %s is not found or access is unauthorized.", name)
}

// canonical is the name with the project's id in place of its number.
func (s *services) canonical(name string) (string, place, error) {
	values, ok := match("projects/*/locations/*/services/*", name)
	if !ok {
		return "", place{}, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/locations/REGION/services/SERVICE.", name)
	}
	if !isRegion(values[1]) {
		return "", place{}, noLocation(values[1])
	}
	on, _ := s.projects.find(values[0])
	at := place{on, values[1]}
	return at.name() + "/services/" + values[2], at, nil
}

// find looks up by canonical name; s.mu is held.
func (s *services) find(name string, at place) (*service, error) {
	if found := s.byName[name]; found != nil {
		return found, nil
	}
	return nil, status.Errorf(codes.NotFound, "Resource '%s' of kind 'SERVICE' in region '%s' in project '%s' does not exist.",
		lastSegment(name), at.location, at.id)
}

func (s *services) GetService(_ context.Context, req *runpb.GetServiceRequest) (*runpb.Service, error) {
	name, at, err := s.canonical(req.GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(name, at)
	if err != nil {
		return nil, err
	}
	return found.state, nil
}

func (s *services) ListServices(_ context.Context, req *runpb.ListServicesRequest) (*runpb.ListServicesResponse, error) {
	at, err := s.place(req.GetParent())
	if err != nil {
		return nil, err
	}
	var all []*runpb.Service
	s.mu.Lock()
	for name, one := range s.byName {
		values, _ := match("projects/*/locations/*/services/*", name)
		if values[0] == at.id && (at.location == "-" || values[1] == at.location) {
			all = append(all, one.state)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(x, y *runpb.Service) int { return cmp.Compare(x.GetName(), y.GetName()) })
	items, next, err := page(all, (*runpb.Service).GetName, req.GetPageSize(), req.GetPageToken(), 1000)
	return &runpb.ListServicesResponse{Services: items, NextPageToken: next}, err
}

func (s *services) CreateService(ctx context.Context, req *runpb.CreateServiceRequest) (*longrunningpb.Operation, error) {
	at, err := s.place(req.GetParent())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create(ctx, at, req.GetServiceId(), req.GetService(), req.GetValidateOnly())
}

// create makes a service and starts its first rollout; s.mu is held.
func (s *services) create(ctx context.Context, at place, id string, wanted *runpb.Service, validateOnly bool) (*longrunningpb.Operation, error) {
	next := &runpb.Service{}
	if wanted != nil {
		next = proto.CloneOf(wanted)
	}
	clearOutputOnly(next)
	v := violations{request: "CreateServiceRequest"}
	if !serviceIDPattern.MatchString(id) {
		v.add("service_id", "%q must have only lower-case letters, digits and hyphens, begin with a letter, not end with a hyphen, and be shorter than 50 characters", id)
	}
	if at.location == "-" {
		v.add("parent", "A region is required")
	}
	next.Name = at.name() + "/services/" + id
	if err := s.prepare(ctx, &v, at, next); err != nil {
		return nil, err
	}
	if s.byName[next.GetName()] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Resource '%s' already exists.", id)
	}
	now := s.clock.stamp()
	next.Uid, next.Generation, next.Etag = newUUID(), 1, newEtag()
	next.CreateTime, next.UpdateTime = now, now
	next.Creator = callerOf(ctx).email
	next.LastModifier = next.GetCreator()
	if validateOnly {
		return s.operations.finished(newOperationName(at.id, at.location), next, next), nil
	}
	s.policies.drop(next.GetName())
	created := &service{state: next}
	s.byName[next.GetName()] = created
	return s.roll(at, created, true), nil
}

func (s *services) UpdateService(ctx context.Context, req *runpb.UpdateServiceRequest) (*longrunningpb.Operation, error) {
	name, at, err := s.canonical(req.GetService().GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(name, at)
	if err != nil && req.GetAllowMissing() {
		if _, err := s.place(at.name()); err != nil {
			return nil, err
		}
		return s.create(ctx, at, lastSegment(name), req.GetService(), req.GetValidateOnly())
	}
	if err != nil {
		return nil, err
	}
	return s.update(ctx, at, found, req)
}

// update changes a service and starts a rollout if that takes one; s.mu is held.
func (s *services) update(ctx context.Context, at place, found *service, req *runpb.UpdateServiceRequest) (*longrunningpb.Operation, error) {
	old := found.state
	if err := mayWrite(found, req.GetService().GetEtag()); err != nil {
		return nil, err
	}
	next := proto.CloneOf(req.GetService())
	if paths := req.GetUpdateMask().GetPaths(); len(paths) > 0 && !slices.Equal(paths, []string{"*"}) {
		next = proto.CloneOf(old)
		if err := copyFields(next, req.GetService(), paths); err != nil {
			return nil, err
		}
	}
	clearOutputOnly(next)
	next.Name = old.GetName()
	v := violations{request: "UpdateServiceRequest"}
	if err := s.prepare(ctx, &v, at, next); err != nil {
		return nil, err
	}
	restoreOutputs(next, old)
	next.Etag = old.GetEtag()
	failed := old.GetTerminalCondition().GetState() == runpb.Condition_CONDITION_FAILED
	if proto.Equal(next, old) && !failed {
		return s.operations.finished(newOperationName(at.id, at.location), old, old), nil
	}
	newRevision := failed || !proto.Equal(next.GetTemplate(), old.GetTemplate())
	if newRevision && next.GetTemplate().GetRevision() != "" && found.hasRevision(next.GetTemplate().GetRevision()) {
		return nil, status.Errorf(codes.AlreadyExists, "Revision named '%s' with different configuration already exists.", next.GetTemplate().GetRevision())
	}
	next.Generation++
	next.Etag = newEtag()
	next.UpdateTime = s.clock.stamp()
	next.LastModifier = callerOf(ctx).email
	if req.GetValidateOnly() {
		return s.operations.finished(newOperationName(at.id, at.location), next, next), nil
	}
	found.state = next
	return s.roll(at, found, newRevision), nil
}

func (s *services) DeleteService(_ context.Context, req *runpb.DeleteServiceRequest) (*longrunningpb.Operation, error) {
	name, at, err := s.canonical(req.GetName())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.find(name, at)
	if err != nil {
		return nil, err
	}
	if err := mayDelete(found, req.GetEtag()); err != nil {
		return nil, err
	}
	if req.GetValidateOnly() {
		return s.operations.finished(newOperationName(at.id, at.location), found.state, found.state), nil
	}
	return s.remove(at, found), nil
}

// mayWrite refuses to change what somebody else is changing, or has changed
// since the caller read it.
func mayWrite(found *service, etag string) error {
	if found.rollout != nil {
		return status.Errorf(codes.Aborted, "Resource '%s' is being rolled out by %s; wait for that operation, then try again.",
			found.state.GetName(), found.rollout.operation)
	}
	return mayDelete(found, etag)
}

func mayDelete(found *service, etag string) error {
	if found.deleting {
		return status.Errorf(codes.Aborted, "Resource '%s' is being deleted.", found.state.GetName())
	}
	if etag != "" && etag != found.state.GetEtag() {
		return status.Errorf(codes.Aborted, "Conflict for resource '%s': version '%s' was specified but current version is '%s'.",
			lastSegment(found.state.GetName()), etag, found.state.GetEtag())
	}
	return nil
}

// prepare fills in what the caller left out and checks the whole.
func (s *services) prepare(ctx context.Context, v *violations, at place, next *runpb.Service) error {
	fillService(next, at.project)
	checkService(v, next)
	if err := v.err(); err != nil {
		return err
	}
	if err := unservedBy(next); err != nil {
		return err
	}
	if err := s.keys.usable(next.GetTemplate().GetEncryptionKey(), "Cloud Run", at.runAgent(), at.location); err != nil {
		return err
	}
	account := next.GetTemplate().GetServiceAccount()
	if name := s.accounts.runsAs(at.project, account); name == "" || !s.policies.may(ctx, actAs, name) {
		return status.Errorf(codes.PermissionDenied, "Permission 'iam.serviceaccounts.actAs' denied on service account %s (or it may not exist).", account)
	}
	return nil
}

func (s *services) inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.byName {
		names = append(names, "//run.googleapis.com/"+name)
	}
	return names
}

// newEtag is quoted, as Cloud Run's are.
func newEtag() string {
	var b [12]byte
	rand.Read(b[:])
	return fmt.Sprintf("%q", base64.StdEncoding.EncodeToString(b[:]))
}
