// Package filestate tells whether a file is still the one that was read.
package filestate

import (
	"io/fs"
	"os"
)

// A State is what there was at a path at one time. The zero State is that of no file.
type State struct{ info fs.FileInfo }

// Of looks at a path. What cannot be looked at is no file.
func Of(path string) State {
	info, err := os.Stat(path)
	if err != nil {
		return State{}
	}
	return State{info}
}

// Same reports whether both are the same state of the same file, or both of no file. A file
// that was put in place of another of the same size, within the file system's clock tick,
// still is another file.
func (s State) Same(other State) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.ModTime().Equal(other.info.ModTime()) &&
		s.info.Size() == other.info.Size() && s.info.Mode() == other.info.Mode()
}
