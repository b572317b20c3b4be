package editors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/atomicfile"
)

// maxFileBytes bounds what is read. The largest of these files is Claude Code's, which
// also holds its history, a few megabytes.
const maxFileBytes = 64 << 20

// backupSuffix is of the file that holds what a configuration was before the last change.
const backupSuffix = ".berth-backup"

// newMode is of a file that was not there: it may come to hold secrets.
const newMode fs.FileMode = 0o600

// A Change is what was done, or would be, to a file.
type Change struct {
	File   string // as the editor has it; it may be a symbolic link
	Backup string // "" if there was nothing to back up
	Diff   string // unified; "" if nothing changed

	Closed []string // files with a secret in them that are taken from others' sight
}

// A file is one editor's configuration on disk.
type file struct {
	path   string
	root   string // of the project that the file belongs to; "" for the user's own
	format format
}

// change reads the file, edits it and, unless it is only to be shown, writes it: whole or
// not at all, with its mode kept and a backup beside it. Where there is a secret in it, both
// are for their owner alone, even if nothing else changes. One run of berth-proxy at a time
// does so; an editor that writes in between is noticed.
func (f file) change(edit func(content []byte) ([]byte, error), dryRun bool) (Change, error) {
	target, err := f.target()
	if err != nil {
		return Change{}, err
	}
	if !dryRun {
		unlock, err := lock()
		if err != nil {
			return Change{}, err
		}
		defer unlock()
	}
	before, info, err := f.read()
	if err != nil {
		return Change{}, err
	}
	after, err := edit(before)
	if err != nil {
		return Change{}, fmt.Errorf("%s is left as it was: %w", f.path, err)
	}
	done := Change{File: f.path}
	if bytes.Equal(before, after) {
		done.Closed, err = f.close(dryRun)
		return done, err
	}
	done.Diff = string(diff.Diff(plaintext.Line(f.path), before, plaintext.Line(f.path), after))
	private := holdsSecret(before) || holdsSecret(after)
	if private && info != nil && isForOthers(info) {
		done.Closed = []string{f.path}
	}
	if dryRun {
		return done, nil
	}
	if info != nil {
		done.Backup = f.path + backupSuffix
	}
	mode := newMode
	if info != nil {
		if mode = info.Mode().Perm(); private {
			mode = closed(mode)
		}
	}
	return done, f.write(target, before, after, info != nil, mode)
}

// close takes from others the right to read the file and its backup, where a secret is in
// them, and returns which it was.
func (f file) close(dryRun bool) ([]string, error) {
	files, err := f.withSecret()
	if err != nil {
		return nil, err
	}
	var exposed []string
	for _, s := range files {
		if !s.ForOthers {
			continue
		}
		exposed = append(exposed, s.Name)
		if dryRun {
			continue
		}
		info, err := os.Stat(s.Name)
		if err == nil {
			err = os.Chmod(s.Name, closed(info.Mode().Perm()))
		}
		if err != nil {
			return nil, fmt.Errorf("%s holds a secret: take it from others' sight: %w", s.Name, err)
		}
	}
	return exposed, nil
}

// read returns the file's content and what it is; nil for both where there is no file.
func (f file) read() (content []byte, info fs.FileInfo, err error) {
	content, info, err = readBounded(f.path)
	if nesting(content) > maxNesting {
		return nil, nil, fmt.Errorf("%s has more than %d brackets that are not closed, too many for a configuration: it is left as it is", f.path, maxNesting)
	}
	return content, info, err
}

func readBounded(path string) (content []byte, info fs.FileInfo, err error) {
	info, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is not a regular file: it is left as it is", path)
	}
	opened, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer opened.Close()
	content, err = io.ReadAll(io.LimitReader(opened, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("read the configuration: %w", err)
	case len(content) > maxFileBytes:
		return nil, nil, fmt.Errorf("%s is larger than %d MiB, too large for a configuration: it is left as it is", path, maxFileBytes>>20)
	}
	return content, info, nil
}

// maxNesting bounds how deep the parsers are led into a file, which may be a stranger's
// project's: they call themselves, and would exhaust the stack after some million levels.
const maxNesting = 100_000

// nesting is the largest number of brackets that are open at once, those in strings among
// them.
func nesting(content []byte) (deepest int) {
	depth := 0
	for _, c := range content {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return deepest
}

func (f file) write(target string, before, after []byte, existed bool, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("make the directory of the configuration: %w", err)
	}
	if existed {
		if err := f.backUp(before, mode); err != nil {
			return fmt.Errorf("back up the configuration: %w", err)
		}
	}
	now, _, err := f.read()
	switch {
	case err != nil:
		return err
	case !bytes.Equal(now, before):
		return fmt.Errorf("%s was changed by another program just now, so that it is left as it is: try again", f.path)
	}
	if err := atomicfile.Write(target, after, mode); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// backUp writes a file as private as the one that it is a copy of, in place of an older
// one: what is at that path is not followed, as it may be a link.
func (f file) backUp(content []byte, mode fs.FileMode) error {
	backup := f.path + backupSuffix
	if err := os.Remove(backup); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return atomicfile.Write(backup, content, mode)
}

// maxLinks is how many symbolic links in a row are followed; Linux follows 40.
const maxLinks = 40

// target is the file that is written in place of a symbolic link, so that the link stays.
// A project may be somebody else's: its links must not lead out of it.
func (f file) target() (string, error) {
	path := f.path
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil { // not a link, or nothing there yet
			return path, f.checkInside(path)
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s is a symbolic link that leads nowhere: remove it", f.path)
}

func (f file) checkInside(path string) error {
	if f.root == "" {
		return nil
	}
	root, err := filepath.EvalSymlinks(f.root)
	if err != nil {
		return fmt.Errorf("find the project: %w", err)
	}
	dir := filepath.Dir(path)
	for { // what is not there yet cannot be a link
		real, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
			continue
		}
		if err != nil {
			return fmt.Errorf("find the directory of %s: %w", f.path, err)
		}
		inside, err := filepath.Rel(root, real)
		if err != nil || inside == ".." || strings.HasPrefix(inside, ".."+string(filepath.Separator)) {
			return fmt.Errorf("%s is a link to a file outside of the project %s: it is left as it is", f.path, f.root)
		}
		return nil
	}
}

// lock waits until no other berth-proxy of this user changes a configuration.
func lock() (unlock func(), err error) {
	cache, err := os.UserCacheDir()
	if err == nil {
		cache = filepath.Join(cache, "berth")
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("make a place for the lock on editors' configurations: %w", err)
	}
	unlock, err = lockedfile.MutexAt(filepath.Join(cache, "editors.lock")).Lock()
	if err != nil {
		return nil, fmt.Errorf("lock the editors' configurations: %w", err)
	}
	return unlock, nil
}
