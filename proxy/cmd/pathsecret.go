package cmd

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/filestate"
	"github.com/berth-mcp/berth/proxy/ownfile"
	"github.com/berth-mcp/berth/proxy/relay"
)

// secretName is the file of the secret, beside the file of clients. It is a file of its
// own, so that the secret is in no argument and in no variable, which other users of the
// computer may see.
const secretName = "path-secret"

// secretFile is where the secret of the local path is, with --path-secret.
func (c *common) secretFile() string {
	return filepath.Join(filepath.Dir(c.configFile), secretName)
}

// secret is the one of the local path: "" without --path-secret. It is made at its first
// use; who wants another writes it into the file, or removes that.
func (c *common) secret() (string, error) {
	if !c.pathSecret {
		return "", nil
	}
	return c.secretOtherThan("")
}

// secretOtherThan is the one in the file, or a new one if there is none, or if it is the one
// that others may know.
func (c *common) secretOtherThan(known string) (string, error) {
	name := c.secretFile()
	if err := prepareSecret(name); err != nil {
		return "", fmt.Errorf("the secret for --path-secret: %w", err)
	}
	good := func(content []byte) bool { return len(content) > 0 && string(content) != known }
	content, err := lockedfile.Read(name)
	if content = bytes.TrimSpace(content); err == nil && !good(content) {
		err = lockedfile.Transform(name, func(before []byte) ([]byte, error) {
			if content = bytes.TrimSpace(before); good(content) {
				return before, nil // of another run meanwhile
			}
			content = []byte(rand.Text()) // 128 bits
			return append(content, '\n'), nil
		})
	}
	if err != nil {
		return "", fmt.Errorf("the secret for --path-secret: %w", err)
	}
	if err := relay.CheckSecret(string(content)); err != nil {
		return "", fmt.Errorf("the secret in %s: %w; or remove the file, and one is made", name, err)
	}
	return string(content), nil
}

// prepareSecret makes an empty file where there is none, and refuses one that others may
// read, or exchange.
func prepareSecret(name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	if err := secretKind.Check(name); err != nil {
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
		return fmt.Errorf("%s is open to others (mode %#o): run `chmod 600 %s`", name, info.Mode().Perm(), pathname.Quote(name))
	}
	return secretKind.Check(name) // a new one may be where others can replace it
}

const maxSecretFile = 1 << 10

var secretKind = ownfile.Kind{Name: "a secret", Bytes: maxSecretFile, Private: true}

// followSecret has a proxy that runs with a secret take up another that is written into the
// file, until the context is done: another proxy that finds its port taken replaces the
// secret, which whoever has that port may know. One that cannot be read changes nothing.
func (c *common) followSecret(ctx context.Context, secret string, set func(string) error, log *slog.Logger) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var state filestate.State // of no file: the first look is at what is in it
	problem := ""             // with the file, when it was last read
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := state
		// What makes a file safe again may be a directory's mode, which its state does not have.
		if state = filestate.Of(c.secretFile()); state.Same(before) && problem == "" {
			continue
		}
		now, err := c.secret() // which makes one where there is none
		if err == nil {
			err = set(now)
		}
		switch {
		case err != nil:
			if problem != err.Error() {
				log.Warn("the secret in the proxy's addresses stays as it was", "error", err)
			}
			problem = err.Error()
			continue
		case now != secret:
			secret = now
			log.Warn("the secret in the proxy's addresses was replaced: connect the editors again with `berth-proxy install`")
		}
		problem = ""
	}
}
