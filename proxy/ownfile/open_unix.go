//go:build unix

package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// open checks the way to a file first. After that nobody but the user and root can change what
// the path leads to, and the file that is opened must be the one that was found.
func (k Kind) open(path string) (*os.File, error) {
	found, steps, err := way(path)
	var failed *fs.PathError
	switch {
	case errors.As(err, &failed): // of a directory on the way, perhaps
		return nil, &fs.PathError{Op: "open", Path: path, Err: failed.Err}
	case err != nil:
		return nil, err
	}
	me := current()
	if err := me.checkWay(path, steps); err != nil {
		return nil, err
	}
	before, err := os.Lstat(found)
	if err != nil {
		return nil, err
	}
	if err := k.checkRegular(path, before); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(found, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := k.checkOpened(me, path, file, before); err != nil {
		_ = file.Close() // nothing was written to it
		return nil, err
	}
	return file, nil
}

// IsReadableByOthers reports whether others may read a file that belongs to the user. What
// belongs to root is as whoever runs the machine wants it.
func IsReadableByOthers(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	file, err := entryOf(path, info)
	return err == nil && file.uid == current().uid && info.Mode().Perm()&0o044 != 0
}

func (k Kind) checkOpened(me user, path string, file *os.File, before os.FileInfo) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(info, before) {
		return ErrChanged
	}
	opened, err := entryOf(path, info)
	if err != nil {
		return err
	}
	return me.checkFile(opened, k.Private)
}
