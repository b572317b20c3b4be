// Package pathname tells the path of a file from a secret in its place. People set a variable
// that names a credentials file to the file's content, and give a token to a flag that wants
// the file of one. Errors of package os repeat what they were given, and an error is read by
// others: in a log, a report, an editor and the model behind it.
//
// [Check] comes before the first use of a path that a person gave. What has passed it may be
// shown.
package pathname

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a path is to lead to.
const (
	File      = "file"
	Directory = "directory"
)

const (
	// maxPath is PATH_MAX of Linux, in bytes.
	maxPath = 4096

	// maxNewName bounds a name that is not there, in bytes. Names of credential files have up
	// to 60; a JWT, an access token or a key in base64 has more than a hundred.
	maxNewName = 64
)

// extensions are those of files that settings name.
var extensions = []string{".cer", ".cfg", ".conf", ".crt", ".json", ".jwt", ".pem", ".token", ".txt", ".yaml", ".yml"}

// Check returns an error if a value is not evidently a path, and so must not be shown. The
// error does not hold the value; the caller adds where that was given.
//
// A path is what exists, or may be there later: plain names below a directory that exists, or
// plain names of which the last has the extension of a settings file. A single name without
// one is written as ./NAME.
func Check(what, value string) error {
	if isPath(value) {
		return nil
	}
	return fmt.Errorf("must be the path of a %s, and there is none of that name; the value is not shown, as it may be a secret", what)
}

// CheckError returns the error of a value that did not pass [Check], for the error of an
// operation that was given a path by something else than a person. Any other error is
// returned as it is.
func CheckError(what string, err error) error {
	var failed *fs.PathError
	if !errors.As(err, &failed) {
		return err
	}
	if wrong := Check(what, failed.Path); wrong != nil {
		return wrong
	}
	return failed
}

func isPath(value string) bool {
	switch {
	case value == "" || len(value) > maxPath:
		return false
	case exists(value):
		return true
	}
	clean := filepath.Clean(value)
	if !areNames(clean[len(filepath.VolumeName(clean)):]) {
		return below(clean)
	}
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(clean))) ||
		strings.HasPrefix(filepath.ToSlash(value), "./") || below(clean)
}

// below reports whether a path leads by plain names from a directory that exists. The root,
// and the working directory of a relative path, are no evidence: every text is below them.
func below(clean string) bool {
	for dir := filepath.Dir(clean); dir != "." && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if exists(dir) {
			return areNames(clean[len(dir):])
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// areNames reports whether the end of a path that is not there is made of names as people
// give them to files.
func areNames(rest string) bool {
	names := strings.FieldsFunc(rest, func(r rune) bool { return r < utf8.RuneSelf && os.IsPathSeparator(uint8(r)) })
	return !slices.ContainsFunc(names, func(name string) bool {
		return len(name) > maxNewName || strings.ContainsFunc(name, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" ._-@~()", r)
		})
	})
}
