// Package ownfile reads the files that decide where a developer's token goes. Who can write
// or replace such a file gets the token. So it is read only if it belongs to the user who
// runs the proxy, or to root, and if nobody else can write it, or exchange it in one of the
// directories on the way to it, as sshd and sudo demand of their files.
//
// On Windows permissions are not checked: there the files are below the user's profile, which
// other users cannot write unless somebody changed that.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// A Kind is a kind of files.
type Kind struct {
	Name  string // with its article, for messages: "a login"
	Bytes int    // that a file may have
	// Private is set for what no group has to do with. Without it, a group that is the
	// user's alone may write the file, as a umask of 002 has it.
	Private bool
}

// An UnsafeError says who else could write or exchange a file. Its text ends with what to do.
type UnsafeError struct{ msg string }

func (e *UnsafeError) Error() string { return e.msg }

func unsafe(format string, args ...any) error { return &UnsafeError{fmt.Sprintf(format, args...)} }

// Read returns the content of a file. The error is an [*UnsafeError] if others could have
// written it, and wraps [fs.ErrNotExist] if it is not there. A pipe is not waited for.
func (k Kind) Read(path string) ([]byte, error) {
	file, err := k.open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, int64(k.Bytes)+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > k.Bytes:
		return nil, fmt.Errorf("%s is larger than %d KiB, too large for %s", path, k.Bytes>>10, k.Name)
	}
	return content, nil
}

// Check returns the error that [Kind.Read] would return for what is not in the file. A file
// that is not there is nobody's.
func (k Kind) Check(path string) error {
	file, err := k.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

func (k Kind) checkRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is not a regular file, as %s must be", path, k.Name)
}

// ErrChanged says that another file was put in place of one while it was opened.
var ErrChanged = errors.New("the file was replaced while it was read: try again")
