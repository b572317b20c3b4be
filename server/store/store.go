// Package store keeps the documents of one client, each under a name, where two
// writers cannot lose each other's changes: a write names the version that it
// replaces, and fails if that is no longer the current one.
//
// It must not know what is in the documents, nor who may read them.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// MaxDocument is the largest document that is read or written, in bytes.
const MaxDocument = 1 << 20

// Errors of a store, for errors.Is.
var (
	// ErrNotExist: there is no document of that name.
	ErrNotExist = fs.ErrNotExist
	// ErrUnusable: what has that name is no document; the others are not concerned.
	ErrUnusable = errors.New("it cannot be used as a document")
	// ErrConflict: the document is not at the version that was to be replaced.
	ErrConflict = errors.New("somebody else has changed it meanwhile")
	// ErrReadOnly: the store takes no changes.
	ErrReadOnly = errors.New("this portal shows the sample's data, which cannot be changed: its operator can give it data of its own with BERTH_DATA")
)

// Version is one state of a document. Versions can be compared for equality and
// mean nothing else. The empty one is that of a document that does not exist.
type Version string

// Entry is a document's name and current version.
type Entry struct {
	Name    string
	Version Version
}

// Store holds the documents of one client. Names are of the form
// "goals/G1.yaml". All methods may be called by many goroutines, and many
// processes may have the same store open.
type Store interface {
	// List gives all documents, by name.
	List(context.Context) ([]Entry, error)
	// Read gives a document. ErrNotExist if there is none, ErrUnusable if what is
	// there cannot be one.
	Read(ctx context.Context, name string) ([]byte, Version, error)
	// Write puts a document in the place of the version replaced, which is empty
	// for one that must not exist yet; otherwise the error is ErrConflict. Nobody
	// ever reads half a document, even if the writer dies.
	Write(ctx context.Context, name string, data []byte, replaced Version) (Version, error)
	// String says where the documents are, for the log.
	String() string
}

var (
	documentName = regexp.MustCompile(`^([a-z]{1,32}/)?[A-Za-z0-9][A-Za-z0-9_-]{0,63}\.yaml$`)
	bucketName   = regexp.MustCompile(`^[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]$`)
)

// Open opens the documents of a client at a location: a directory, or a Cloud
// Storage bucket as "gs://BUCKET". There they are below "clients/CLIENT/", and
// nothing else can be reached. It does not look at them yet. endpoint is where
// Cloud Storage is, if not at Google, as its clients take it:
// "http://127.0.0.1:4443/storage/v1/".
func Open(location, client, endpoint string) (Store, error) {
	if err := CheckClient(client); err != nil {
		return nil, err
	}
	// It may be a credential in the place of a path: it is not shown, and makes no directory.
	if strings.ContainsFunc(location, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`{}"`, r) }) {
		return nil, errors.New("must be a directory or gs://BUCKET; the value is not shown, as it may be a secret")
	}
	bucket, isBucket := strings.CutPrefix(location, "gs://")
	switch {
	case isBucket && !bucketName.MatchString(strings.TrimSuffix(bucket, "/")):
		return nil, fmt.Errorf("%q names no bucket: write gs://BUCKET", location)
	case isBucket:
		return newBucket(strings.TrimSuffix(bucket, "/"), client, endpoint), nil
	case strings.Contains(location, "://"):
		return nil, fmt.Errorf("%q is neither a directory nor gs://BUCKET", location)
	}
	dir, err := filepath.Abs(location)
	if err != nil {
		return nil, err
	}
	return newDir(dir, client)
}

// Client names have the shape of a Cloud Run service's name, whose limit is 49
// characters.
var clientName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,47}[a-z0-9])?$`)

// CheckClient says what is wrong with a client's name.
func CheckClient(name string) error {
	if !clientName.MatchString(name) {
		return fmt.Errorf("%q is no client's name: use lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen, at most 49 characters", name)
	}
	return nil
}

func checkName(name string) error {
	if !documentName.MatchString(name) {
		return fmt.Errorf("%q is no document's name", name)
	}
	return nil
}

func checkSize(name string, size int) error {
	if size > MaxDocument {
		return fmt.Errorf("%s: %w: it has more than %d bytes", name, ErrUnusable, MaxDocument)
	}
	return nil
}
