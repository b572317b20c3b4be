package cmd

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/berth-mcp/berth/proxy/relay"
)

// secretName is the file of the secret, beside the file of clients. It is a file of its
// own, so that the secret is in no argument and in no variable, which other users of the
// computer may see.
const secretName = "path-secret"

// secret is the one of the local path: "" without --path-secret. It is made at its first
// use; who wants another writes it into the file, or removes that.
func (c *common) secret() (string, error) {
	if !c.pathSecret {
		return "", nil
	}
	name := filepath.Join(filepath.Dir(c.configFile), secretName)
	if err := prepareSecret(name); err != nil {
		return "", fmt.Errorf("the secret for --path-secret: %w", err)
	}
	var content []byte
	err := lockedfile.Transform(name, func(before []byte) ([]byte, error) {
		if content = bytes.TrimSpace(before); len(content) > 0 {
			return before, nil
		}
		content = []byte(rand.Text()) // 128 bits
		return append(content, '\n'), nil
	})
	if err != nil {
		return "", fmt.Errorf("the secret for --path-secret: %w", err)
	}
	if err := relay.CheckSecret(string(content)); err != nil {
		return "", fmt.Errorf("the secret in %s: %w; or remove the file, and one is made", name, err)
	}
	return string(content), nil
}

// prepareSecret makes an empty file where there is none, and refuses one that others may
// read.
func prepareSecret(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", name)
	case info.Size() > maxSecretFile:
		return fmt.Errorf("%s is larger than %d bytes, too large for a secret", name, maxSecretFile)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %#o): run `chmod 600 %s`", name, info.Mode().Perm(), name)
	}
	return nil
}

const maxSecretFile = 1 << 10
