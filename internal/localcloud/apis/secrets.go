package apis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"cloud.google.com/go/iam/apiv1/iampb"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// secretRoles may be granted on a secret.
var secretRoles = []string{
	"roles/editor", "roles/owner", "roles/secretmanager.admin", "roles/secretmanager.secretAccessor",
	"roles/secretmanager.secretVersionAdder", "roles/secretmanager.secretVersionManager",
	"roles/secretmanager.viewer", "roles/viewer",
}

// secrets are the global secrets of all projects. There are no regional ones
// here. Names in messages have the project's number, as Google's do; policies
// and the inventory know it by its id.
type secrets struct {
	sm.UnimplementedSecretManagerServiceServer
	projects *projects
	policies *policies
	keys     *keys
	clock    clock

	mu     sync.Mutex
	byName map[string]*secret // by the name with the project's id
}

func newSecrets(projects *projects, policies *policies, keys *keys, clock clock) *secrets {
	return &secrets{projects: projects, policies: policies, keys: keys, clock: clock, byName: map[string]*secret{}}
}

// secret is a secret with its versions. Its fields are guarded by secrets.mu.
type secret struct {
	state    *sm.Secret       // replaced, never changed
	versions []*secretVersion // version N is at N-1; one that was destroyed stays
}

func (s *secrets) CreateSecret(_ context.Context, req *sm.CreateSecretRequest) (*sm.Secret, error) {
	on, err := s.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	next := &sm.Secret{}
	if req.GetSecret() != nil {
		next = proto.CloneOf(req.GetSecret())
	}
	clearOutputOnly(next)
	v := violations{request: "CreateSecretRequest"}
	if !secretIDPattern.MatchString(req.GetSecretId()) {
		v.add("secret_id", "%q must have 1 to 255 letters, digits, hyphens and underscores", req.GetSecretId())
	}
	checkSecret(&v, next, 0)
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := unservedBySecret(next); err != nil {
		return nil, err
	}
	next.Name = fmt.Sprintf("projects/%d/secrets/%s", on.number, req.GetSecretId())
	next.CreateTime, next.Etag = s.clock.stamp(), newEtag()

	name := "projects/" + on.id + "/secrets/" + req.GetSecretId()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName[name] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Secret [%s] already exists.", next.GetName())
	}
	s.policies.drop(name)
	s.byName[name] = &secret{state: next}
	return next, nil
}

func (s *secrets) GetSecret(_ context.Context, req *sm.GetSecretRequest) (*sm.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _, err := s.find(req.GetName())
	if err != nil {
		return nil, err
	}
	return found.state, nil
}

func (s *secrets) ListSecrets(_ context.Context, req *sm.ListSecretsRequest) (*sm.ListSecretsResponse, error) {
	on, err := s.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	if req.GetFilter() != "" {
		return nil, status.Error(codes.Unimplemented, "the local cloud lists secrets without a filter; leave it out here")
	}
	var all []*sm.Secret
	s.mu.Lock()
	for name, one := range s.byName {
		if values, _ := match("projects/*/secrets/*", name); values[0] == on.id {
			all = append(all, one.state)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(x, y *sm.Secret) int { return cmp.Compare(x.GetName(), y.GetName()) })
	items, next, err := page(all, (*sm.Secret).GetName, req.GetPageSize(), req.GetPageToken(), maxSecretPage)
	return &sm.ListSecretsResponse{Secrets: items, NextPageToken: next, TotalSize: int32(len(all))}, err
}

func (s *secrets) UpdateSecret(_ context.Context, req *sm.UpdateSecretRequest) (*sm.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _, err := s.find(req.GetSecret().GetName())
	if err != nil {
		return nil, err
	}
	if err := sameEtag(found.state.GetName(), req.GetSecret().GetEtag(), found.state.GetEtag()); err != nil {
		return nil, err
	}
	paths := req.GetUpdateMask().GetPaths()
	v := violations{request: "UpdateSecretRequest"}
	if len(paths) == 0 {
		v.add("update_mask", "A mask is required: some of %v", secretMutable)
	}
	for _, path := range paths {
		if !slices.Contains(secretMutable, path) {
			v.add("update_mask", "%q cannot be changed; only %v can", path, secretMutable)
		}
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	next := proto.CloneOf(found.state)
	if err := copyFields(next, req.GetSecret(), paths); err != nil {
		return nil, err
	}
	checkSecret(&v, next, len(found.versions))
	if err := v.err(); err != nil {
		return nil, err
	}
	next.Etag = newEtag()
	found.state = next
	return next, nil
}

func (s *secrets) DeleteSecret(_ context.Context, req *sm.DeleteSecretRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, name, err := s.find(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := sameEtag(found.state.GetName(), req.GetEtag(), found.state.GetEtag()); err != nil {
		return nil, err
	}
	delete(s.byName, name)
	s.policies.drop(name)
	return &emptypb.Empty{}, nil
}

func (s *secrets) GetIamPolicy(_ context.Context, req *iampb.GetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := s.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return s.policies.get(name, req.GetOptions().GetRequestedPolicyVersion())
}

func (s *secrets) SetIamPolicy(_ context.Context, req *iampb.SetIamPolicyRequest) (*iampb.Policy, error) {
	name, err := s.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return s.policies.set(name, req, secretRoles)
}

func (s *secrets) TestIamPermissions(ctx context.Context, req *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	name, err := s.existing(req.GetResource())
	if err != nil {
		return nil, err
	}
	return s.policies.heldPermissions(ctx, name, req), nil
}

func (s *secrets) existing(resource string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, name, err := s.find(resource)
	return name, err
}

// find looks a secret up, and gives its name with the project's id; s.mu is
// held.
func (s *secrets) find(name string) (*secret, string, error) {
	values, ok := match("projects/*/secrets/*", name)
	if !ok {
		return nil, "", status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/secrets/SECRET.", name)
	}
	on, _ := s.projects.find(values[0])
	canonical := "projects/" + on.id + "/secrets/" + values[1]
	if found := s.byName[canonical]; found != nil {
		return found, canonical, nil
	}
	return nil, canonical, status.Errorf(codes.NotFound, "Secret [projects/%d/secrets/%s] not found.", on.number, values[1])
}

func (s *secrets) parent(name string) (project, error) {
	if values, ok := match("projects/*", name); ok {
		if found, ok := s.projects.find(values[0]); ok {
			return found, nil
		}
	}
	return project{}, status.Errorf(codes.InvalidArgument, "Invalid parent %q: expected projects/PROJECT.", name)
}

// inventory has the secrets, and their versions but for destroyed ones.
func (s *secrets) inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, one := range s.byName {
		names = append(names, "//secretmanager.googleapis.com/"+name)
		for i, version := range one.versions {
			if version.state.GetState() != sm.SecretVersion_DESTROYED {
				names = append(names, fmt.Sprintf("//secretmanager.googleapis.com/%s/versions/%d", name, i+1))
			}
		}
	}
	return names
}

// sameEtag refuses to change what somebody else has changed since the caller
// read it.
func sameEtag(name, given, have string) error {
	if given == "" || given == have {
		return nil
	}
	return status.Errorf(codes.FailedPrecondition,
		"The etag %s of [%s] is not its current one, %s: read it again, then try again.", given, name, have)
}
