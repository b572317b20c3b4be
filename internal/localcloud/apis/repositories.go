package apis

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"sync"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

var repositoryIDPattern = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// repositoryRoles may be granted on a repository.
var repositoryRoles = []string{
	"roles/artifactregistry.admin", "roles/artifactregistry.reader", "roles/artifactregistry.repoAdmin",
	"roles/artifactregistry.writer", "roles/editor", "roles/owner", "roles/viewer",
}

// repositories are the Artifact Registry repositories of all projects. Only
// Docker repositories with images of one's own exist here.
type repositories struct {
	artifactregistrypb.UnimplementedArtifactRegistryServer
	projects   *projects
	operations *operations
	policies   *policies
	keys       *keys
	clock      clock
	logger     *slog.Logger

	mu     sync.Mutex
	byName map[string]*repository
}

// repository is what the API tells and what the registry serves. The images go
// with it.
type repository struct {
	state  *artifactregistrypb.Repository // replaced, never changed
	images http.Handler
}

func newRepositories(projects *projects, operations *operations, policies *policies, keys *keys, clock clock, logger *slog.Logger) *repositories {
	return &repositories{
		projects: projects, operations: operations, policies: policies, keys: keys, clock: clock, logger: logger,
		byName: map[string]*repository{},
	}
}

// place is a project's location.
type place struct {
	project
	location string
}

func (p place) name() string { return "projects/" + p.id + "/locations/" + p.location }

func (r *repositories) parent(name string) (place, error) {
	values, ok := match("projects/*/locations/*", name)
	if !ok {
		return place{}, status.Errorf(codes.InvalidArgument, "Invalid parent %q: expected projects/PROJECT/locations/LOCATION.", name)
	}
	on, ok := r.projects.find(values[0])
	if !ok || !isRegistryLocation(values[1]) && values[1] != "-" {
		return place{}, status.Errorf(codes.InvalidArgument, "Location %q is not one of Artifact Registry's.", values[1])
	}
	return place{on, values[1]}, nil
}

// canonical is the name with the project's id in place of its number.
func (r *repositories) canonical(name string) (string, place, error) {
	values, ok := match("projects/*/locations/*/repositories/*", name)
	if !ok {
		return "", place{}, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/locations/LOCATION/repositories/REPOSITORY.", name)
	}
	on, _ := r.projects.find(values[0])
	at := place{on, values[1]}
	return at.name() + "/repositories/" + values[2], at, nil
}

func (r *repositories) CreateRepository(_ context.Context, req *artifactregistrypb.CreateRepositoryRequest) (*longrunningpb.Operation, error) {
	at, err := r.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	created := &artifactregistrypb.Repository{}
	if req.GetRepository() != nil {
		created = proto.CloneOf(req.GetRepository())
	}
	clearOutputOnly(created)
	v := violations{request: "CreateRepositoryRequest"}
	if !repositoryIDPattern.MatchString(req.GetRepositoryId()) {
		v.add("repository_id", "%q must be 1 to 63 characters, begin with a lower-case letter, have only lower-case letters, digits and hyphens, and not end with a hyphen", req.GetRepositoryId())
	}
	checkRepository(&v, created)
	checkLabels(&v, "repository.labels", created.GetLabels())
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := unserved(created); err != nil {
		return nil, err
	}
	if err := r.keys.usable(created.GetKmsKeyName(), "Artifact Registry", at.registryAgent(), at.location); err != nil {
		return nil, err
	}
	created.Name = at.name() + "/repositories/" + req.GetRepositoryId()
	created.Mode = artifactregistrypb.Repository_STANDARD_REPOSITORY
	created.RegistryUri = at.location + "-docker.pkg.dev/" + at.id + "/" + req.GetRepositoryId()
	created.CreateTime = r.clock.stamp()
	created.UpdateTime = created.GetCreateTime()

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName[created.GetName()] != nil {
		return nil, status.Error(codes.AlreadyExists, "the repository already exists")
	}
	if other, _ := r.byPath(at.id, req.GetRepositoryId()); other != nil {
		return nil, status.Errorf(codes.FailedPrecondition,
			"The local cloud's registry has one address for every location, so %s and %s cannot both exist; choose another repository id.",
			created.GetName(), other.GetName())
	}
	r.policies.drop(created.GetName())
	r.byName[created.GetName()] = &repository{state: created, images: newImages(r.logger)}
	return r.operations.finished(newOperationName(at.id, at.location), &artifactregistrypb.OperationMetadata{}, created), nil
}

func checkRepository(v *violations, repository *artifactregistrypb.Repository) {
	if repository.GetFormat() == artifactregistrypb.Repository_FORMAT_UNSPECIFIED {
		v.add("repository.format", "A format is required, such as DOCKER")
	}
	for id, policy := range repository.GetCleanupPolicies() {
		if policy.GetId() != "" && policy.GetId() != id {
			v.add("repository.cleanup_policies["+id+"].id", "%q is not the policy's key", policy.GetId())
		}
	}
}

// unserved names what Artifact Registry has and the local cloud does not, so
// that it is never ignored in silence.
func unserved(repository *artifactregistrypb.Repository) error {
	mode := repository.GetMode()
	switch {
	case repository.GetFormat() != artifactregistrypb.Repository_DOCKER:
		return status.Errorf(codes.Unimplemented, "the local cloud has repositories of format DOCKER, not %s", repository.GetFormat())
	case mode != artifactregistrypb.Repository_MODE_UNSPECIFIED && mode != artifactregistrypb.Repository_STANDARD_REPOSITORY:
		return status.Errorf(codes.Unimplemented, "the local cloud has repositories of mode STANDARD_REPOSITORY, not %s", mode)
	case repository.GetDockerConfig().GetImmutableTags():
		return status.Error(codes.Unimplemented, "the local cloud has no immutable tags; leave docker_config.immutable_tags unset")
	}
	return nil
}

func (r *repositories) GetRepository(_ context.Context, req *artifactregistrypb.GetRepositoryRequest) (*artifactregistrypb.Repository, error) {
	name, _, err := r.canonical(req.GetName())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.find(name)
	return found.state, err
}

func (r *repositories) ListRepositories(_ context.Context, req *artifactregistrypb.ListRepositoriesRequest) (*artifactregistrypb.ListRepositoriesResponse, error) {
	at, err := r.parent(req.GetParent())
	if err != nil {
		return nil, err
	}
	var all []*artifactregistrypb.Repository
	r.mu.Lock()
	for name, one := range r.byName {
		values, _ := match("projects/*/locations/*/repositories/*", name)
		if values[0] == at.id && (at.location == "-" || values[1] == at.location) {
			all = append(all, one.state)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(x, y *artifactregistrypb.Repository) int { return cmp.Compare(x.GetName(), y.GetName()) })
	items, next, err := page(all, (*artifactregistrypb.Repository).GetName, req.GetPageSize(), req.GetPageToken(), 1000)
	return &artifactregistrypb.ListRepositoriesResponse{Repositories: items, NextPageToken: next}, err
}

// repositoryMutable are the fields that change when no mask says which.
var repositoryMutable = []string{"description", "labels", "cleanup_policies", "cleanup_policy_dry_run", "docker_config", "vulnerability_scanning_config"}

func (r *repositories) UpdateRepository(_ context.Context, req *artifactregistrypb.UpdateRepositoryRequest) (*artifactregistrypb.Repository, error) {
	name, _, err := r.canonical(req.GetRepository().GetName())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	found, err := r.find(name)
	if err != nil {
		return nil, err
	}
	next := proto.CloneOf(found.state)
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 || slices.Equal(paths, []string{"*"}) {
		paths = repositoryMutable
	}
	if err := copyFields(next, req.GetRepository(), paths); err != nil {
		return nil, err
	}
	restoreOutputs(next, found.state)
	v := violations{request: "UpdateRepositoryRequest"}
	if next.GetFormat() != found.state.GetFormat() {
		v.add("repository.format", "The format of a repository cannot be changed")
	}
	if next.GetMode() != found.state.GetMode() {
		v.add("repository.mode", "The mode of a repository cannot be changed")
	}
	checkRepository(&v, next)
	checkLabels(&v, "repository.labels", next.GetLabels())
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := unserved(next); err != nil {
		return nil, err
	}
	next.Name = name
	next.UpdateTime = r.clock.stamp()
	found.state = next
	return next, nil
}

func (r *repositories) DeleteRepository(_ context.Context, req *artifactregistrypb.DeleteRepositoryRequest) (*longrunningpb.Operation, error) {
	name, at, err := r.canonical(req.GetName())
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	delete(r.byName, name)
	r.policies.drop(name)
	return r.operations.finished(newOperationName(at.id, at.location), &artifactregistrypb.OperationMetadata{}, &emptypb.Empty{}), nil
}

// find looks up by canonical name; r.mu is held. The repository is empty, not
// nil, beside an error.
func (r *repositories) find(name string) (*repository, error) {
	if found := r.byName[name]; found != nil {
		return found, nil
	}
	return &repository{}, status.Errorf(codes.NotFound, "Requested entity was not found: %s.", name)
}

// byPath finds the repository of images at HOST/PROJECT/REPOSITORY/…, wherever
// it is; r.mu is held.
func (r *repositories) byPath(projectID, id string) (*artifactregistrypb.Repository, http.Handler) {
	for name, one := range r.byName {
		values, _ := match("projects/*/locations/*/repositories/*", name)
		if values[0] == projectID && values[2] == id {
			return one.state, one.images
		}
	}
	return nil, nil
}

// images gives the repository's state and what serves its images, or nil.
func (r *repositories) images(projectID, id string) (*artifactregistrypb.Repository, http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byPath(projectID, id)
}

func (r *repositories) inventory() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name, one := range r.byName {
		full := "//artifactregistry.googleapis.com/" + name
		names = append(names, full)
		for _, image := range catalog(one.images) {
			names = append(names, full+"/dockerImages/"+image)
		}
	}
	return names
}
