package ownfile

import "os"

// IsReadableByOthers is not known here.
func IsReadableByOthers(string) bool { return false }

// open looks whether it is a file first: a pipe would be waited for.
func (k Kind) open(path string) (*os.File, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := k.checkRegular(path, before); err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(info, before) {
		err = ErrChanged
	}
	if err != nil {
		_ = file.Close() // nothing was written to it
		return nil, err
	}
	return file, nil
}
