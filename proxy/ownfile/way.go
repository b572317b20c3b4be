//go:build unix

package ownfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// An entry is what a file system says of a name.
type entry struct {
	path     string
	uid, gid uint32
	mode     fs.FileMode
}

// A step is an entry and the directory that it is in.
type step struct{ dir, entry entry }

// maxLinks is how many symbolic links Linux follows for one path.
const maxLinks = 40

// way returns what a path leads to, and every step that the system takes from the root to
// it, symbolic links among them. Each could be exchanged for one that leads elsewhere.
func way(path string) (found string, steps []step, err error) {
	if !filepath.IsAbs(path) {
		here, err := os.Getwd()
		if err != nil {
			return "", nil, err
		}
		path = here + "/" + path // not Clean: what .. means depends on links
	}
	dir, err := look("/")
	if err != nil {
		return "", nil, err
	}
	links := 0
	for rest := names(path); len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			if dir, err = look(filepath.Dir(dir.path)); err != nil {
				return "", nil, err
			}
			continue
		}
		next, err := look(filepath.Join(dir.path, name))
		if err != nil {
			return "", nil, err
		}
		steps = append(steps, step{dir, next})
		switch {
		case next.mode&fs.ModeSymlink != 0:
			if links++; links > maxLinks {
				return "", nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
			}
			target, err := os.Readlink(next.path)
			if err != nil {
				return "", nil, err
			}
			if filepath.IsAbs(target) {
				if dir, err = look("/"); err != nil {
					return "", nil, err
				}
			}
			rest = append(names(target), rest...)
		case len(rest) > 0 && !next.mode.IsDir():
			return "", nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}
		default:
			dir = next
		}
	}
	return dir.path, steps, nil
}

// names are the parts of a path that lead somewhere.
func names(path string) []string {
	var all []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			all = append(all, name)
		}
	}
	return all
}

func look(path string) (entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return entry{}, err
	}
	return entryOf(path, info)
}

func entryOf(path string, info fs.FileInfo) (entry, error) {
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return entry{}, fmt.Errorf("find the owner of %s: the system does not tell", path)
	}
	return entry{path, stat.Uid, stat.Gid, info.Mode()}, nil
}
