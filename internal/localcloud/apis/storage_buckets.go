package apis

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	storageapi "google.golang.org/api/storage/v1"
	"google.golang.org/protobuf/proto"

	"cloud.google.com/go/iam/apiv1/iampb"
	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// bucket is a bucket's metadata. Its fields are guarded by storage.mu.
type bucket struct {
	project project
	state   *storageapi.Bucket // replaced, never changed
}

func (s *storage) exists(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buckets[name] != nil
}

// find looks up a bucket that was there when the call came; s.mu is held.
func (s *storage) find(name string) *bucket {
	if found := s.buckets[name]; found != nil {
		return found
	}
	return &bucket{state: &storageapi.Bucket{}}
}

func (s *storage) listBuckets(w http.ResponseWriter, c *storageCall) {
	on, ok := s.inProject(w, c, "storage.buckets.list")
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &storageapi.Buckets{Kind: "storage#buckets"}
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		if one := s.buckets[name]; one.project == on && strings.HasPrefix(name, c.URL.Query().Get("prefix")) {
			list.Items = append(list.Items, one.state)
		}
	}
	writeStorageJSON(w, list)
}

// inProject finds the project that a call names, if the caller may do that there.
func (s *storage) inProject(w http.ResponseWriter, c *storageCall, permission string) (project, bool) {
	on, ok := s.projects.find(c.URL.Query().Get("project"))
	if !ok || !s.mayInProject(c, permission, on) {
		s.deny(w, c, permission)
		return project{}, false
	}
	return on, true
}

// serviceAccount tells Cloud Storage's own account in a project, and makes it.
func (s *storage) serviceAccount(w http.ResponseWriter, c *storageCall) {
	on, ok := s.projects.find(c.names[0])
	if !ok || !s.policies.may(c.Context(), getProject, "projects/"+on.id) {
		s.deny(w, c, getProject)
		return
	}
	s.projects.agents.make(on.storageAgent())
	writeStorageJSON(w, &storageapi.ServiceAccount{Kind: "storage#serviceAccount", EmailAddress: on.storageAgent()})
}

func (s *storage) createBucket(w http.ResponseWriter, c *storageCall) {
	on, ok := s.inProject(w, c, "storage.buckets.create")
	if !ok {
		return
	}
	wanted, err := c.bucketBody()
	if err != nil {
		writeStorageError(w, http.StatusBadRequest, "parseError", badJSON+" "+err.Error())
		return
	}
	s.fillBucket(wanted, on)
	if err := checkStorageBucket(wanted); err != nil {
		writeStorageStatus(w, err)
		return
	}
	if err := s.encryptable(wanted, on); err != nil {
		writeStorageStatus(w, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[wanted.Name] != nil {
		message := "Your previous request to create the named bucket succeeded and you already own it."
		if s.buckets[wanted.Name].project != on {
			message = "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."
		}
		writeStorageError(w, http.StatusConflict, "conflict", message)
		return
	}
	if err := s.grantToProject(wanted.Name, on); err != nil {
		writeStorageStatus(w, err)
		return
	}
	s.backend.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: wanted.Name, VersioningEnabled: versioned(wanted)})
	s.buckets[wanted.Name] = &bucket{project: on, state: wanted}
	writeStorageJSON(w, wanted)
}

// encryptable tells whether the bucket's default key may be used.
func (s *storage) encryptable(state *storageapi.Bucket, on project) error {
	if state.Encryption == nil {
		return nil
	}
	return s.keys.usable(state.Encryption.DefaultKmsKeyName, "Cloud Storage", on.storageAgent(), strings.ToLower(state.Location))
}

// grantToProject gives a new bucket the policy that Google gives it: the basic
// roles on the project count as roles on the bucket.
func (s *storage) grantToProject(name string, on project) error {
	s.policies.drop(bucketsName + name)
	owners, readers := []string{"projectEditor:" + on.id, "projectOwner:" + on.id}, []string{"projectViewer:" + on.id}
	_, err := s.policies.set(bucketsName+name, &iampb.SetIamPolicyRequest{Policy: &iampb.Policy{Bindings: []*iampb.Binding{
		{Role: "roles/storage.legacyBucketOwner", Members: owners},
		{Role: "roles/storage.legacyBucketReader", Members: readers},
		{Role: "roles/storage.legacyObjectOwner", Members: owners},
		{Role: "roles/storage.legacyObjectReader", Members: readers},
	}}}, bucketRoles)
	return err
}

func (s *storage) getBucket(w http.ResponseWriter, c *storageCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	writeStorageJSON(w, s.find(c.bucket()).state)
}

// patchBucket merges what is given into what is there: null takes away.
func (s *storage) patchBucket(w http.ResponseWriter, c *storageCall) {
	change, err := c.objectBody()
	if err != nil {
		writeStorageError(w, http.StatusBadRequest, "parseError", badJSON+" "+err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.find(c.bucket())
	if !s.sameMetageneration(w, c, found.state) {
		return
	}
	next, err := patched(found.state, change)
	if err != nil {
		writeStorageError(w, http.StatusBadRequest, "parseError", badJSON+" "+err.Error())
		return
	}
	s.updateBucket(next, found.state)
	if err := checkStorageBucketChange(next, found.state); err != nil {
		writeStorageStatus(w, err)
		return
	}
	if err := s.encryptable(next, found.project); err != nil {
		writeStorageStatus(w, err)
		return
	}
	if versioned(next) != versioned(found.state) {
		body := fmt.Sprintf(`{"versioning":{"enabled":%t}}`, versioned(next))
		s.tell(http.MethodPatch, next.Name, body)
	}
	found.state = next
	writeStorageJSON(w, next)
}

// deleteBucket refuses to delete one that holds anything, old versions too.
func (s *storage) deleteBucket(w http.ResponseWriter, c *storageCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := c.bucket()
	if !s.sameMetageneration(w, c, s.find(name).state) {
		return
	}
	if len(s.objectsIn(name)) > 0 {
		writeStorageError(w, http.StatusConflict, "conflict", "The bucket you tried to delete is not empty.")
		return
	}
	s.tell(http.MethodDelete, name, "")
	delete(s.buckets, name)
	s.policies.drop(bucketsName + name)
	w.WriteHeader(http.StatusNoContent)
}

// tell has the store of objects follow what became of a bucket.
func (s *storage) tell(method, name, body string) {
	r, err := http.NewRequestWithContext(context.Background(), method, "/storage/v1/b/"+name, strings.NewReader(body))
	if err == nil { // a bucket's name is always part of a good URL
		s.objects.ServeHTTP(&answer{header: http.Header{}}, r)
	}
}

// sameMetageneration checks the one precondition that buckets have.
func (s *storage) sameMetageneration(w http.ResponseWriter, c *storageCall, state *storageapi.Bucket) bool {
	given := c.URL.Query().Get("ifMetagenerationMatch")
	if given == "" || given == strconv.FormatInt(state.Metageneration, 10) {
		return true
	}
	failedPrecondition(w)
	return false
}

func failedPrecondition(w http.ResponseWriter) {
	writeStorageError(w, http.StatusPreconditionFailed, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
}

// objectsIn lists a bucket's objects with their old versions; s.mu is held.
func (s *storage) objectsIn(name string) []fakestorage.ObjectAttrs {
	list, err := s.backend.ListObjectsWithOptionsPaginated(name, fakestorage.ListOptions{Versions: true})
	if err != nil {
		return nil
	}
	return list.Objects
}

func (s *storage) getPolicy(w http.ResponseWriter, c *storageCall) {
	requested, err := strconv.ParseInt(cmp.Or(c.URL.Query().Get("optionsRequestedPolicyVersion"), "1"), 10, 32)
	if err != nil {
		writeStorageError(w, http.StatusBadRequest, "invalid", "optionsRequestedPolicyVersion must be 1 or 3")
		return
	}
	policy, err := s.policies.get(bucketsName+c.bucket(), int32(requested))
	if err != nil {
		writeStorageStatus(w, err)
		return
	}
	writePolicy(w, c.bucket(), policy)
}

func (s *storage) setPolicy(w http.ResponseWriter, c *storageCall) {
	policy := &iampb.Policy{}
	if err := lenientJSON.Unmarshal(c.body, policy); err != nil {
		writeStorageError(w, http.StatusBadRequest, "parseError", badJSON+" "+plain(err))
		return
	}
	s.mu.Lock()
	prevented := preventsPublic(s.find(c.bucket()).state)
	s.mu.Unlock()
	if prevented && isPublic(policy) {
		writeStorageError(w, http.StatusPreconditionFailed, "conditionNotMet",
			"The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention is enforced.")
		return
	}
	set, err := s.policies.set(bucketsName+c.bucket(), &iampb.SetIamPolicyRequest{Policy: policy}, bucketRoles)
	if err != nil {
		writeStorageStatus(w, err)
		return
	}
	writePolicy(w, c.bucket(), set)
}

func isPublic(policy *iampb.Policy) bool {
	return slices.ContainsFunc(policy.GetBindings(), func(b *iampb.Binding) bool {
		return slices.ContainsFunc(b.GetMembers(), isPublicMember)
	})
}

func isPublicMember(member string) bool {
	return member == "allUsers" || member == "allAuthenticatedUsers"
}

func preventsPublic(b *storageapi.Bucket) bool {
	return b.IamConfiguration != nil && b.IamConfiguration.PublicAccessPrevention == enforced
}

// writePolicy adds what this API says besides.
func writePolicy(w http.ResponseWriter, name string, policy *iampb.Policy) {
	encoded, err := policyJSON.Marshal(proto.CloneOf(policy))
	body := map[string]any{}
	if err == nil {
		err = json.Unmarshal(encoded, &body)
	}
	if err != nil {
		writeStorageError(w, http.StatusInternalServerError, "internalError", err.Error())
		return
	}
	body["kind"], body["resourceId"] = "storage#policy", bucketsName+name
	writeStorageJSON(w, body)
}

func (s *storage) testPermissions(w http.ResponseWriter, c *storageCall) {
	held := []string{}
	for _, permission := range c.URL.Query()["permissions"] {
		if s.may(c, permission, c.bucket()) {
			held = append(held, permission)
		}
	}
	writeStorageJSON(w, map[string]any{"kind": "storage#testIamPermissionsResponse", "permissions": held})
}

func (s *storage) stamp() string { return s.clock().UTC().Format(time.RFC3339Nano) }
