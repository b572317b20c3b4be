package instance

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// maxImageEntries bounds the number of files. Large distributions' images
	// have about a hundred thousand.
	maxImageEntries = 500_000

	// The names of the OCI image specification for "was deleted" and "what
	// lower layers have here was deleted".
	whiteoutPrefix = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// unpackOnce unpacks an image into dir, unless that was done before. It works
// in a directory beside it which it then renames, so that dir is complete
// whenever it exists, even if several processes share it.
func unpackOnce(image v1.Image, dir string, maxBytes int64) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	partial, err := os.MkdirTemp(filepath.Dir(dir), ".partial-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	if err := unpack(layers, partial, maxBytes); err != nil {
		return err
	}
	if err := os.Rename(partial, dir); err != nil {
		if _, statErr := os.Stat(dir); statErr == nil {
			return nil // another process was faster
		}
		return err
	}
	return nil
}

// unpack applies layers, lowest first, to an empty directory.
func unpack(layers []v1.Layer, dir string, maxBytes int64) error {
	// Links are written relative to where they really are, so the name of the
	// directory must not have links in it.
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{root: root, dir: dir, bytesLeft: maxBytes, entriesLeft: maxImageEntries}
	for n, layer := range layers {
		if err := u.layer(layer); err != nil {
			return fmt.Errorf("layer %d of %d: %w", n+1, len(layers), err)
		}
	}
	return nil
}

// unpacker writes through an os.Root, which refuses to leave the directory
// whatever names and links an archive holds.
type unpacker struct {
	root        *os.Root
	dir         string // the same, for what os.Root does not offer
	bytesLeft   int64
	entriesLeft int
	// written are the names of the layer at hand: what its opaque whiteouts
	// leave alone.
	written map[string]bool
}

func (u *unpacker) layer(layer v1.Layer) error {
	content, err := layer.Uncompressed()
	if err != nil {
		return err
	}
	defer content.Close()
	u.written = map[string]bool{}
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := u.entry(header, archive); err != nil {
			return fmt.Errorf("entry %.200q: %w", header.Name, err)
		}
	}
	// The digest of a layer is checked when its end is read.
	_, err = io.Copy(io.Discard, content)
	return err
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	if u.entriesLeft--; u.entriesLeft < 0 {
		return fmt.Errorf("the image has more than %d entries", maxImageEntries)
	}
	name, err := entryName(header.Name)
	if err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	parent, base := path.Split(name)
	if parent = path.Clean(parent); parent != "." {
		if err := u.root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	if base == opaqueWhiteout {
		return u.clear(parent)
	}
	if hidden, ok := strings.CutPrefix(base, whiteoutPrefix); ok {
		if hidden == "" || hidden == "." || hidden == ".." {
			return errors.New("a whiteout of nothing")
		}
		return u.root.RemoveAll(path.Join(parent, hidden))
	}
	u.written[name] = true
	switch header.Typeflag {
	case tar.TypeDir:
		return u.directory(name, header.FileInfo().Mode())
	case tar.TypeReg:
		return u.file(name, header, content)
	case tar.TypeSymlink:
		return u.symlink(parent, name, header.Linkname)
	case tar.TypeLink:
		return u.hardLink(parent, name, header.Linkname)
	}
	return nil // devices and pipes are the platform's to provide
}

// entryName returns a name relative to the root. Names from the root (/app)
// are common in images; names that climb are in none that is well meant.
func entryName(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", errors.New("a NUL in the name")
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", errors.New("a name with .. in it could leave the image")
		}
	}
	return path.Clean("./" + name), nil
}

// clear removes what lower layers put into a directory.
func (u *unpacker) clear(dir string) error {
	entries, err := fs.ReadDir(u.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		if u.written[name] {
			continue
		}
		if err := u.root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) directory(name string, mode fs.FileMode) error {
	info, err := u.root.Lstat(name)
	if err != nil || !info.IsDir() {
		if err := u.root.RemoveAll(name); err != nil {
			return err
		}
		if err := u.root.Mkdir(name, 0o755); err != nil {
			return err
		}
	}
	// The owner keeps the right to write, so that lower directories can be
	// filled and all of it can be removed again.
	return u.root.Chmod(name, mode.Perm()|0o700)
}

func (u *unpacker) file(name string, header *tar.Header, content io.Reader) error {
	if u.bytesLeft -= header.Size; u.bytesLeft < 0 {
		return errors.New("the image is larger than the bound for unpacked images")
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	mode := header.FileInfo().Mode().Perm() | 0o600
	file, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// symlink writes a link relative to where it is, and clamps its target to the
// image, as the kernel would clamp it to a container's root.
func (u *unpacker) symlink(parent, name, target string) error {
	if target == "" || strings.ContainsRune(target, 0) {
		return errors.New("a link to nothing")
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	realParent, err := u.realDir(parent)
	if err != nil {
		return err
	}
	if !path.IsAbs(target) {
		target = path.Join("/", realParent, target)
	}
	relative, err := filepath.Rel("/"+realParent, path.Clean(target))
	if err != nil {
		return err
	}
	return u.root.Symlink(relative, name)
}

func (u *unpacker) hardLink(parent, name, target string) error {
	old, err := entryName(target)
	if err != nil {
		return err
	}
	info, err := u.root.Lstat(old)
	if err != nil {
		return err
	}
	if old == name {
		return nil
	}
	if info.Mode()&fs.ModeSymlink != 0 { // is relative to where it is, so it cannot be shared
		relative, err := u.root.Readlink(old)
		if err != nil {
			return err
		}
		oldParent, err := u.realDir(path.Dir(old))
		if err != nil {
			return err
		}
		return u.symlink(parent, name, path.Join("/", oldParent, relative))
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	return u.root.Link(old, name)
}

// realDir resolves the links in a directory's name. All links are ours, so
// the result is in the root.
func (u *unpacker) realDir(dir string) (string, error) {
	resolved, err := filepath.EvalSymlinks(filepath.Join(u.dir, dir))
	if err != nil {
		return "", err
	}
	relative, err := filepath.Rel(u.dir, resolved)
	if err != nil || !filepath.IsLocal(relative) {
		return "", fmt.Errorf("%s leads out of the image", dir)
	}
	return path.Clean("/" + filepath.ToSlash(relative))[1:], nil
}
