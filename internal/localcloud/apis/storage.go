package apis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// maxObjectBytes bounds one upload, in memory as every object here.
	maxObjectBytes = 64 << 20
	// bucketsName begins the names that policies know buckets by: they belong
	// to a project, and are named apart from it.
	bucketsName = "projects/_/buckets/"
)

// storage is Cloud Storage's JSON API, and the reads of its XML API. It knows the
// buckets, decides who may do what, and whether a precondition holds. Objects are
// kept by fake-gcs-server, which asks nobody for a token.
type storage struct {
	access   *access
	projects *projects
	policies *policies
	keys     *keys
	clock    clock
	backend  *fakestorage.Server
	objects  http.Handler // the backend's

	// mu guards all that follows, and is held while an object changes, so that
	// what a precondition saw still holds.
	mu      sync.Mutex
	buckets map[string]*bucket // by name
	uploads map[string]upload  // resumable ones, by id
}

func newStorage(access *access, projects *projects, policies *policies, keys *keys, clock clock) (*storage, error) {
	backend, err := fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Writer: io.Discard})
	if err != nil {
		return nil, fmt.Errorf("starting the store of objects: %w", err)
	}
	return &storage{
		access: access, projects: projects, policies: policies, keys: keys, clock: clock,
		backend: backend, objects: backend.HTTPHandler(),
		buckets: map[string]*bucket{}, uploads: map[string]upload{},
	}, nil
}

// storageCall is one request: what its path names, and who asks.
type storageCall struct {
	*http.Request
	names []string // the values of the stars in the route's pattern
	body  []byte
	who   caller // with no e-mail: nobody has signed in
}

func (c *storageCall) bucket() string { return c.names[0] }
func (c *storageCall) object() string { return c.names[1] }

// storageRoute is a method of the API. What is not in the table is not served.
type storageRoute struct {
	method, pattern string
	// permission on the bucket; empty: the method asks itself.
	permission string
	serve      func(*storage, http.ResponseWriter, *storageCall)
}

var storageRoutes = []storageRoute{
	{http.MethodGet, "storage/v1/projects/*/serviceAccount", "", (*storage).serviceAccount},
	{http.MethodGet, "storage/v1/b", "", (*storage).listBuckets},
	{http.MethodPost, "storage/v1/b", "", (*storage).createBucket},
	{http.MethodGet, "storage/v1/b/*", "storage.buckets.get", (*storage).getBucket},
	{http.MethodPatch, "storage/v1/b/*", "storage.buckets.update", (*storage).patchBucket},
	{http.MethodDelete, "storage/v1/b/*", "storage.buckets.delete", (*storage).deleteBucket},
	{http.MethodGet, "storage/v1/b/*/iam", "storage.buckets.getIamPolicy", (*storage).getPolicy},
	{http.MethodPut, "storage/v1/b/*/iam", "storage.buckets.setIamPolicy", (*storage).setPolicy},
	{http.MethodGet, "storage/v1/b/*/iam/testPermissions", "", (*storage).testPermissions},

	{http.MethodGet, "storage/v1/b/*/o", "storage.objects.list", (*storage).read},
	{http.MethodGet, "storage/v1/b/*/o/*", "storage.objects.get", (*storage).readObject},
	{http.MethodGet, "download/storage/v1/b/*/o/*", "storage.objects.get", (*storage).readObject},
	{http.MethodPatch, "storage/v1/b/*/o/*", "storage.objects.update", (*storage).changeObject},
	{http.MethodDelete, "storage/v1/b/*/o/*", "storage.objects.delete", (*storage).deleteObject},
	{http.MethodPost, "storage/v1/b/*/o/*/rewriteTo/b/*/o/*", "storage.objects.get", (*storage).copyObject},
	{http.MethodPost, "storage/v1/b/*/o/*/copyTo/b/*/o/*", "storage.objects.get", (*storage).copyObject},
	{http.MethodPost, "storage/v1/b/*/o/*/compose", "storage.objects.create", (*storage).composeObject},
	{http.MethodPost, "upload/storage/v1/b/*/o", "storage.objects.create", (*storage).insertObject},
	{http.MethodPut, "upload/storage/v1/b/*/o", "storage.objects.create", (*storage).continueUpload},
	{http.MethodPost, "upload/storage/v1/b/*/o?upload_id", "storage.objects.create", (*storage).continueUpload},
	{http.MethodDelete, "upload/storage/v1/b/*/o", "storage.objects.create", (*storage).continueUpload},
}

// ServeHTTP authenticates, finds the method, and asks the bucket's policy.
func (s *storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &storageCall{}
	call.Request = s.access.identify(r)
	call.who = callerOf(call.Context())
	if call.who.err != nil && len(r.Header.Values("Authorization")) > 0 {
		writeStorageError(w, http.StatusUnauthorized, "authError", "Invalid Credentials")
		return
	}
	route := call.route()
	if route == nil {
		writeStorageError(w, http.StatusNotImplemented, "notImplemented", fmt.Sprintf("the local cloud's storage has no %s %s", r.Method, r.URL.Path))
		return
	}
	var err error
	if call.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxObjectBytes)); err != nil {
		writeStorageError(w, http.StatusRequestEntityTooLarge, "uploadTooLarge", fmt.Sprintf("reading at most %d bytes: %v", maxObjectBytes, err))
		return
	}
	if strings.Contains(route.pattern, "/b/") && !s.exists(call.bucket()) {
		writeStorageError(w, http.StatusNotFound, "notFound", "The specified bucket does not exist.")
		return
	}
	if route.permission != "" && !s.may(call, route.permission, call.bucket()) {
		s.deny(w, call, route.permission)
		return
	}
	route.serve(s, w, call)
}

// route finds the method that a request is for, and takes the names out of its
// path. Reads of the XML API, GET /BUCKET/OBJECT, become those of the JSON API.
func (c *storageCall) route() *storageRoute {
	escaped := strings.TrimPrefix(c.URL.EscapedPath(), "/")
	if first, rest, ok := strings.Cut(escaped, "/"); ok && c.reads() && first != "storage" && first != "upload" && first != "download" {
		escaped = "download/storage/v1/b/" + first + "/o/" + strings.ReplaceAll(rest, "/", "%2F")
		c.rewrite(escaped)
	}
	method := c.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i, route := range storageRoutes {
		pattern, query, _ := strings.Cut(route.pattern, "?")
		if query != "" != c.URL.Query().Has("upload_id") && strings.HasPrefix(pattern, "upload/") && method == http.MethodPost {
			continue
		}
		values, ok := match(pattern, strings.TrimSuffix(escaped, "/"))
		if !ok || route.method != method {
			continue
		}
		for n, value := range values {
			var err error
			if values[n], err = url.PathUnescape(value); err != nil {
				return nil
			}
		}
		c.names = values
		return &storageRoutes[i]
	}
	return nil
}

func (c *storageCall) reads() bool { return c.Method == http.MethodGet || c.Method == http.MethodHead }

func (c *storageCall) rewrite(escaped string) {
	u := *c.URL
	u.RawPath = "/" + escaped
	u.Path, _ = url.PathUnescape(u.RawPath) // it was a URL's before
	c.Request = c.Clone(c.Context())
	c.URL = &u
}

// may tells whether the caller has a permission on a bucket. The basic roles on
// the project are worth less here than elsewhere: who has them gets at what is in
// a bucket only if its policy says so.
func (s *storage) may(c *storageCall, permission, name string) bool {
	s.mu.Lock()
	found := s.find(name)
	s.mu.Unlock()
	return s.mayByPolicy(c, permission, name, preventsPublic(found.state)) || s.mayInProject(c, permission, found.project)
}

// mayByPolicy asks the bucket's own policy. What it grants to the public counts for
// nothing where public access is prevented.
func (s *storage) mayByPolicy(c *storageCall, permission, name string, prevented bool) bool {
	for _, b := range s.policies.current(bucketsName + name).GetBindings() {
		members := b.GetMembers()
		if prevented {
			members = slices.DeleteFunc(slices.Clone(members), isPublicMember)
		}
		if !conditional(b) && roleHolds(b.GetRole(), permission) && s.policies.covers(members, c.who.email) {
			return true
		}
	}
	return false
}

// basicStorageRoles are what the basic roles on a project hold of Cloud Storage,
// after https://cloud.google.com/storage/docs/access-control/iam-roles#basic-roles.
var basicStorageRoles = map[string][]string{
	"roles/owner":  {"storage.buckets.create", "storage.buckets.delete", "storage.buckets.list"},
	"roles/editor": {"storage.buckets.create", "storage.buckets.delete", "storage.buckets.list"},
	"roles/viewer": {"storage.buckets.list"},
}

func (s *storage) mayInProject(c *storageCall, permission string, on project) bool {
	if c.who.email == "" {
		return false
	}
	for _, b := range s.policies.current("projects/" + on.id).GetBindings() {
		holds := roleHolds(b.GetRole(), permission)
		if basic, ok := basicStorageRoles[b.GetRole()]; ok {
			holds = slices.Contains(basic, permission)
		}
		if holds && !conditional(b) && s.policies.covers(b.GetMembers(), c.who.email) {
			return true
		}
	}
	return false
}

func (s *storage) deny(w http.ResponseWriter, c *storageCall, permission string) {
	kind := "bucket"
	if strings.HasPrefix(permission, "storage.objects.") {
		kind = "object"
	}
	who, code, reason := c.who.email, http.StatusForbidden, "forbidden"
	if who == "" {
		who, code, reason = "Anonymous caller", http.StatusUnauthorized, "required"
	}
	writeStorageError(w, code, reason, fmt.Sprintf(
		"%s does not have %s access to the Google Cloud Storage %s. Permission '%s' denied on resource (or it may not exist).", who, permission, kind, permission))
}

// writeStorageError answers in the shape of the older of Google's APIs.
func writeStorageError(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/"`)
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{ // the caller may have gone
		"code": code, "message": message,
		"errors": []map[string]string{{"domain": "global", "reason": reason, "message": message}},
	}})
}

// writeStorageStatus answers with what another part of the APIs says.
func writeStorageStatus(w http.ResponseWriter, err error) {
	code, reason := httpStatus(status.Code(err)), "invalid"
	switch status.Code(err) {
	case codes.Aborted:
		code, reason = http.StatusPreconditionFailed, "conditionNotMet"
	case codes.PermissionDenied:
		reason = "forbidden"
	}
	writeStorageError(w, code, reason, status.Convert(err).Message())
}

func writeStorageJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}

// forward hands the call to the store of objects.
func (s *storage) forward(w http.ResponseWriter, c *storageCall) {
	r := c.Clone(c.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
	r.Header.Del("Authorization") // it has done its work
	s.objects.ServeHTTP(w, r)
}

// inventory has the buckets and the objects in them.
func (s *storage) inventory() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.buckets {
		full := "//storage.googleapis.com/" + bucketsName + name
		names = append(names, full)
		for _, object := range s.objectsIn(name) {
			names = append(names, full+"/objects/"+object.Name)
		}
	}
	return names
}
