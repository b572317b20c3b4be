package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// dir is a store in a directory. A document's version is the hash of its
// content; whoever writes holds a lock, which goes with the process.
type dir struct {
	root string // of the client
}

// unusable is the version in a list of what is no document. It is no hash.
const unusable Version = "unusable"

func newDir(base, client string) (*dir, error) {
	root := filepath.Join(base, "clients", client)
	if err := os.MkdirAll(root, 0o700); err != nil {
		var failed *fs.PathError
		if errors.As(err, &failed) {
			err = failed.Err // without the path, in whose place a secret may be
		}
		return nil, fmt.Errorf("must be a directory that can be made and written: %w", err)
	}
	return &dir{root: root}, nil
}

func (d *dir) String() string { return d.root }

func (d *dir) List(ctx context.Context) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(d.root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		relative, err := filepath.Rel(d.root, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		if entry.IsDir() || checkName(name) != nil {
			return nil // a lock, or half a document of a writer that died
		}
		_, version, err := d.Read(ctx, name)
		switch {
		case errors.Is(err, ErrNotExist):
			return nil // it went since
		case errors.Is(err, ErrUnusable):
			version, err = unusable, nil // reading it says why
		}
		entries = append(entries, Entry{Name: name, Version: version})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", d.root, err)
	}
	return entries, nil
}

func (d *dir) Read(_ context.Context, name string) ([]byte, Version, error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	// Root keeps a symbolic link from leading out of the client's directory.
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	info, err := root.Stat(name)
	if err != nil {
		if link, linkErr := root.Lstat(name); linkErr == nil && link.Mode()&fs.ModeSymlink != 0 {
			return nil, "", fmt.Errorf("%s: %w: it is a link that leads to nothing in %s", name, ErrUnusable, d.root)
		}
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("%s: %w: it is no regular file", name, ErrUnusable)
	}
	file, err := root.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil, "", fmt.Errorf("%s: %w: this server may not read it", name, ErrUnusable)
	}
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxDocument+1))
	if err != nil {
		return nil, "", err
	}
	if err := checkSize(name, len(data)); err != nil {
		return nil, "", err
	}
	return data, versionOf(data), nil
}

func versionOf(data []byte) Version {
	sum := sha256.Sum256(data)
	return Version(hex.EncodeToString(sum[:16]))
}

func (d *dir) Write(ctx context.Context, name string, data []byte, replaced Version) (Version, error) {
	if err := errors.Join(checkName(name), checkSize(name, len(data)), ctx.Err()); err != nil {
		return "", err
	}
	unlock, err := lockedfile.MutexAt(filepath.Join(d.root, ".lock")).Lock()
	if err != nil {
		return "", fmt.Errorf("locking %s: %w", d.root, err)
	}
	defer unlock()
	_, current, err := d.Read(ctx, name)
	if err != nil && !errors.Is(err, ErrNotExist) {
		return "", err
	}
	if current != replaced {
		return "", fmt.Errorf("%s: %w", name, ErrConflict)
	}
	if err := d.replace(name, data); err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return versionOf(data), nil
}

// replace writes a document beside its place and then moves it there, so that
// whoever reads finds the old one or the new one.
func (d *dir) replace(name string, data []byte) error {
	folder := filepath.Join(d.root, filepath.FromSlash(path.Dir(name)))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(folder, "."+strings.TrimSuffix(path.Base(name), ".yaml")+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) // after the rename there is nothing to remove
	_, err = temporary.Write(data)
	if err == nil {
		err = temporary.Sync()
	}
	if err := errors.Join(err, temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), filepath.Join(d.root, filepath.FromSlash(name)))
}
