package apis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// upload is a resumable upload that was begun: whose it is, and of what. Its id
// alone lets nobody go on with it.
type upload struct {
	bucket, object, email string
	conditions            url.Values
}

// maxUploads bounds the resumable uploads that were begun and never ended.
const maxUploads = 1000

// read has the store of objects answer.
func (s *storage) read(w http.ResponseWriter, c *storageCall) { s.forward(w, c) }

func (s *storage) readObject(w http.ResponseWriter, c *storageCall) {
	conditions := c.URL.Query()
	for header, name := range map[string]string{
		"X-Goog-If-Generation-Match": "ifGenerationMatch", "X-Goog-If-Generation-Not-Match": "ifGenerationNotMatch",
		"X-Goog-If-Metageneration-Match": "ifMetagenerationMatch",
	} {
		if value := c.Header.Get(header); value != "" {
			conditions.Set(name, value)
		}
	}
	// What is read is of one generation, whatever becomes of the object.
	if s.holds(w, c, c.bucket(), c.object(), conditions) {
		s.forward(w, c)
	}
}

func (s *storage) changeObject(w http.ResponseWriter, c *storageCall) {
	s.change(w, func(w http.ResponseWriter) {
		if s.holds(w, c, c.bucket(), c.object(), c.URL.Query()) {
			s.forward(w, c)
		}
	})
}

func (s *storage) deleteObject(w http.ResponseWriter, c *storageCall) {
	s.change(w, func(w http.ResponseWriter) {
		if s.holds(w, c, c.bucket(), c.object(), c.URL.Query()) && s.released(w, c.bucket(), c.object()) {
			s.forward(w, c)
		}
	})
}

// change does what changes an object while nobody else does, and answers the
// caller, who may be slow to read, only then.
func (s *storage) change(w http.ResponseWriter, do func(http.ResponseWriter)) {
	held := &answer{header: http.Header{}}
	func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		do(held)
	}()
	held.writeTo(w)
}

func (a *answer) writeTo(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.code != 0 {
		w.WriteHeader(a.code)
	}
	_, _ = w.Write(a.body) // the caller may have gone
}

// copyObject also takes the right to write where the copy goes.
func (s *storage) copyObject(w http.ResponseWriter, c *storageCall) {
	to, object := c.names[2], c.names[3]
	if !s.exists(to) {
		writeStorageError(w, http.StatusNotFound, "notFound", "The specified bucket does not exist.")
		return
	}
	s.write(w, c, to, object, c.URL.Query())
}

// composeObject also takes the right to read what is composed.
func (s *storage) composeObject(w http.ResponseWriter, c *storageCall) {
	if !s.may(c, "storage.objects.get", c.bucket()) {
		s.deny(w, c, "storage.objects.get")
		return
	}
	s.write(w, c, c.bucket(), c.object(), c.URL.Query())
}

// insertObject takes an upload in one piece, or begins a resumable one.
func (s *storage) insertObject(w http.ResponseWriter, c *storageCall) {
	object, err := c.uploadedName()
	if err != nil {
		writeStorageError(w, http.StatusBadRequest, "invalid", err.Error())
		return
	}
	conditions := c.URL.Query()
	if conditions.Get("uploadType") != "resumable" {
		s.write(w, c, c.bucket(), object, conditions)
		return
	}
	held := &answer{header: http.Header{}}
	s.write(held, c, c.bucket(), object, conditions)
	if location, err := url.Parse(held.header.Get("Location")); err == nil && held.code == http.StatusOK {
		s.begun(location.Query().Get("upload_id"), upload{c.bucket(), object, c.who.email, conditions})
		// The store does not know its own address.
		location.Scheme, location.Host = "http", c.Host
		held.header.Set("Location", location.String())
	}
	held.writeTo(w)
}

func (s *storage) begun(id string, u upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.uploads { // any of those that were given up, most likely
		if len(s.uploads) < maxUploads {
			break
		}
		delete(s.uploads, other)
	}
	s.uploads[id] = u
}

// continueUpload takes a piece of a resumable upload, or ends it, from whoever
// began it.
func (s *storage) continueUpload(w http.ResponseWriter, c *storageCall) {
	id := c.URL.Query().Get("upload_id")
	s.mu.Lock()
	u, ok := s.uploads[id]
	s.mu.Unlock()
	if !ok || u.bucket != c.bucket() || u.email != c.who.email {
		writeStorageError(w, http.StatusNotFound, "notFound", "No such upload.")
		return
	}
	s.write(w, c, u.bucket, u.object, u.conditions)
}

// write changes an object of that name: if it is there, that takes the right to
// delete it.
func (s *storage) write(w http.ResponseWriter, c *storageCall, name, object string, conditions url.Values) {
	needed := []string{"storage.objects.create"}
	if s.generation(name, object) != 0 {
		needed = append(needed, "storage.objects.delete")
	}
	for _, permission := range needed {
		if !s.may(c, permission, name) {
			s.deny(w, c, permission)
			return
		}
	}
	s.change(w, func(w http.ResponseWriter) {
		if s.holds(w, c, name, object, conditions) && s.released(w, name, object) {
			s.forward(w, c)
		}
	})
}

// uploadedName is the object that an upload is of: it is in the query, or in the
// metadata that the body begins with.
func (c *storageCall) uploadedName() (string, error) {
	if name := c.URL.Query().Get("name"); name != "" {
		return name, nil
	}
	metadata := io.Reader(bytes.NewReader(c.body))
	kind, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err == nil && strings.HasPrefix(kind, "multipart/") {
		part, err := multipart.NewReader(metadata, params["boundary"]).NextPart()
		if err != nil {
			return "", fmt.Errorf("reading the metadata of the upload: %w", err)
		}
		metadata = part
	}
	var object struct{ Name string }
	if err := json.NewDecoder(metadata).Decode(&object); err != nil || object.Name == "" {
		return "", fmt.Errorf("the upload does not name its object: give it in ?name= or in the metadata")
	}
	return object.Name, nil
}

// generation is that of the live object, or 0 if there is none.
func (s *storage) generation(name, object string) int64 {
	found, err := s.backend.GetObjectStreaming(name, object)
	if err != nil {
		return 0
	}
	defer func() { _ = found.Close() }() // in memory
	return found.Generation
}

// holds checks a call's preconditions; for a change, s.mu is held. The store checks
// some of them, for some methods.
func (s *storage) holds(w http.ResponseWriter, c *storageCall, name, object string, conditions url.Values) bool {
	for _, unknown := range []string{"ifMetagenerationMatch", "ifMetagenerationNotMatch", "ifSourceGenerationMatch", "ifSourceGenerationNotMatch"} {
		if conditions.Has(unknown) {
			writeStorageError(w, http.StatusNotImplemented, "notImplemented", "the local cloud does not have "+unknown+"; use ifGenerationMatch here")
			return false
		}
	}
	have := strconv.FormatInt(s.generation(name, object), 10)
	if want := conditions.Get("ifGenerationMatch"); want != "" && want != have {
		failedPrecondition(w)
		return false
	}
	if unwanted := conditions.Get("ifGenerationNotMatch"); unwanted != "" && unwanted == have {
		if c.reads() {
			w.WriteHeader(http.StatusNotModified)
			return false
		}
		failedPrecondition(w)
		return false
	}
	return true
}

// released tells whether an object may be deleted or overwritten, by the bucket's
// retention policy; s.mu is held.
func (s *storage) released(w http.ResponseWriter, name, object string) bool {
	policy := s.find(name).state.RetentionPolicy
	if policy == nil {
		return true
	}
	found, err := s.backend.GetObjectStreaming(name, object)
	if err != nil {
		return true // there is none
	}
	defer func() { _ = found.Close() }() // in memory
	until := found.Created.Add(time.Duration(policy.RetentionPeriod) * time.Second)
	if !s.clock().Before(until) {
		return true
	}
	writeStorageError(w, http.StatusForbidden, "retentionPolicyNotMet", fmt.Sprintf(
		"Object '%s/%s' is subject to bucket's retention policy and cannot be deleted or overwritten until %s", name, object, until.UTC().Format(time.RFC3339)))
	return false
}
