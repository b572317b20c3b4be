package apis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Bounds of one request to the registry: a manifest as registries commonly
// bound it, and a layer far above a server's binary.
const (
	maxManifestBytes = 4 << 20
	maxLayerBytes    = 1 << 30
)

// hostSuffix is that of Artifact Registry's own hosts.
const hostSuffix = "-docker.pkg.dev"

// registry serves the images of every repository, each repository from a
// registry of its own, and decides who may pull and push.
type registry struct {
	host         string
	access       *access
	projects     *projects
	usage        *serviceUsage
	repositories *repositories
	policies     *policies
}

// newImages is an empty repository's registry.
func newImages(logger *slog.Logger) http.Handler {
	return ggcr.New(
		ggcr.Logger(slog.NewLogLogger(logger.Handler(), slog.LevelDebug)),
		ggcr.WithBlobHandler(ggcr.NewInMemoryBlobHandler()),
		ggcr.WithReferrersSupport(true),
	)
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	email, err := r.access.registryCaller(req)
	if err != nil {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", "http://"+r.host))
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED",
			"log in with an access token: user oauth2accesstoken, the token as password ("+reason(err)+")")
		return
	}
	if req.URL.Path == "/v2/" || req.URL.Path == "/v2" {
		w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
		w.WriteHeader(http.StatusOK)
		return
	}
	repository, images := r.route(req.URL.Path)
	if repository == nil {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", fmt.Sprintf(
			"no repository at %s; images are at /v2/PROJECT/REPOSITORY/IMAGE, and the repository must exist in Artifact Registry", req.URL.Path))
		return
	}
	permission, allowed := uploadArtifacts, r.canPush
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		permission, allowed = downloadArtifacts, r.canPull
	}
	if !allowed(repository, email) {
		refuse(w, http.StatusForbidden, "DENIED", fmt.Sprintf(
			"Permission %q denied on resource %q (or it may not exist)", permission, repository.GetName()))
		return
	}
	limit := int64(maxLayerBytes)
	if strings.Contains(req.URL.Path, "/manifests/") {
		limit = maxManifestBytes
	}
	req.Body = http.MaxBytesReader(w, req.Body, limit)
	images.ServeHTTP(w, req)
}

// reason says what was wrong with the credentials, never what they were.
func reason(err error) string {
	if s, ok := status.FromError(err); ok {
		return "the token was refused: " + s.Code().String()
	}
	return err.Error()
}

// route finds the repository of /v2/PROJECT/REPOSITORY/IMAGE/… and its images.
func (r *registry) route(path string) (*artifactregistrypb.Repository, http.Handler) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return nil, nil
	}
	segments := strings.Split(rest, "/")
	const atLeast = 5 // project, repository, image, manifests or the like, reference
	if len(segments) < atLeast || slices.Contains(segments[:len(segments)-1], "") {
		return nil, nil
	}
	on, ok := r.projects.find(segments[0])
	if !ok || !r.usage.isEnabled(on, registryAPI) {
		return nil, nil
	}
	return r.repositories.images(segments[0], segments[1])
}

func (r *registry) canPush(repository *artifactregistrypb.Repository, email string) bool {
	return r.access.isOwner(email) || r.policies.permits(email, uploadArtifacts, repository.GetName())
}

// canPull lets the project's own Cloud Run service agent in besides: that is
// how Cloud Run gets an image. From another project it needs a grant.
func (r *registry) canPull(repository *artifactregistrypb.Repository, email string) bool {
	values, _ := match("projects/*/locations/*/repositories/*", repository.GetName())
	on, _ := r.projects.find(values[0])
	return r.access.isOwner(email) || email == on.runAgent() ||
		r.policies.permits(email, downloadArtifacts, repository.GetName())
}

type registryError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func refuse(w http.ResponseWriter, httpCode int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(httpCode)
	_ = json.NewEncoder(w).Encode(map[string][]registryError{"errors": {{code, message}}}) // the caller may have gone
}

// resolve gives the image by digest at the local registry's address, as Cloud
// Run does for a service in the project: it must exist, and the project's
// service agent must be allowed to pull it.
func (r *registry) resolve(ctx context.Context, on project, image string) (string, error) {
	missing := status.Errorf(codes.NotFound, "Image '%s' not found.", image)
	ref, err := parseImage(image)
	if err != nil {
		return "", status.Errorf(codes.InvalidArgument, "Image '%s': %v", image, err)
	}
	location, google := strings.CutSuffix(ref.Context().RegistryStr(), hostSuffix)
	if !google && ref.Context().RegistryStr() != r.host {
		return "", missing
	}
	path := ref.Context().RepositoryStr()
	repository, images := r.route("/v2/" + path + "/manifests/" + ref.Identifier())
	if repository == nil {
		return "", missing
	}
	if values, _ := match("projects/*/locations/*/repositories/*", repository.GetName()); google && values[1] != location {
		return "", missing
	}
	if !r.canPull(repository, on.runAgent()) {
		return "", status.Errorf(codes.PermissionDenied,
			"Google Cloud Run Service Agent %s must have permission to read the image, %s. Ensure that the provided container image URL is correct and that the above account has permission to access the image.",
			on.runAgent(), image)
	}
	answer := ask(ctx, images, http.MethodHead, "/v2/"+path+"/manifests/"+ref.Identifier())
	digest := answer.header.Get("Docker-Content-Digest")
	if answer.code != http.StatusOK || digest == "" {
		return "", missing
	}
	return r.host + "/" + path + "@" + digest, nil
}

// parseImage reads an image reference. A host is required: there is no Docker
// Hub here.
func parseImage(image string) (name.Reference, error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(image, ref.Context().RegistryStr()+"/") {
		return nil, errors.New("expected HOST/PROJECT/REPOSITORY/IMAGE@DIGEST")
	}
	return ref, nil
}

// catalog lists the images of one repository, without its project and id.
func catalog(images http.Handler) []string {
	answer := ask(context.Background(), images, http.MethodGet, "/v2/_catalog")
	var list struct {
		Repositories []string `json:"repositories"`
	}
	if err := json.Unmarshal(answer.body, &list); err != nil {
		return nil
	}
	var names []string
	for _, path := range list.Repositories {
		if parts := strings.SplitN(path, "/", 3); len(parts) == 3 {
			names = append(names, parts[2])
		}
	}
	return names
}

// answer is what a handler in this process wrote.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// ask calls a handler in this process.
func ask(ctx context.Context, h http.Handler, method, path string) *answer {
	a := &answer{header: http.Header{}}
	request := (&http.Request{
		Method: method, URL: &url.URL{Path: path}, Header: http.Header{}, Body: http.NoBody,
	}).WithContext(ctx)
	h.ServeHTTP(a, request)
	return a
}
