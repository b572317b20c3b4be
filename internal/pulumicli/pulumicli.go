// Package pulumicli provides the Pulumi command: the one on PATH, or one built
// from the version that tools/go.mod pins. A machine with only Go can therefore
// run the real engine.
//
// It knows nothing of stacks or of clouds.
package pulumicli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/rogpeppe/go-internal/lockedfile"
)

// CacheVar names the environment variable that overrides where the built
// command is kept. The default is "berth" in the user's cache directory.
const CacheVar = "BERTH_CACHE"

// Progress hears what is being done. Methods are called from one goroutine.
type Progress interface {
	// Note is a sentence on what happens and why.
	Note(sentence string)
	// Compiled says how many of the packages that need compiling are done.
	Compiled(done, total int)
}

// Find gives a Pulumi command that is at least as new as the SDK: from PATH, else
// from the cache, else built from tools/go.mod below root, the directory of
// Berth's go.mod. Any number of processes may call it at once: one builds, the
// others wait for it.
func Find(ctx context.Context, root string, progress Progress) (auto.PulumiCommand, error) {
	// The Automation API would take one that is years old, and fail at its answers.
	if command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Version: sdk.Version}); err == nil {
		return command, nil
	}
	dir, err := home(root)
	if err != nil {
		return nil, err
	}
	options := &auto.PulumiCommandOptions{Root: dir}
	if command, err := auto.NewPulumiCommand(options); err == nil {
		return command, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache for Pulumi: %w; set %s to a directory that you may write", err, CacheVar)
	}
	unlock, err := lock(ctx, filepath.Join(dir, "lock"), progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if command, err := auto.NewPulumiCommand(options); err == nil {
		return command, nil // another process built it meanwhile
	}
	binary := filepath.Join(dir, "bin", "pulumi"+executableSuffix())
	if err := build(ctx, filepath.Join(root, "tools"), binary, progress); err != nil {
		return nil, err
	}
	command, err := auto.NewPulumiCommand(options)
	if err != nil {
		return nil, fmt.Errorf("the Pulumi command built at %s does not work: %w", binary, err)
	}
	return command, nil
}

// CacheDir is the directory that all of Berth's caches live in: [CacheVar], else
// "berth" in the user's cache directory.
func CacheDir() (string, error) {
	if dir := os.Getenv(CacheVar); dir != "" {
		return dir, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for a cache directory: %w; set %s to one", err, CacheVar)
	}
	return filepath.Join(user, "berth"), nil
}

// home is where the command for these very sources lives: another version of
// Pulumi or Go gives another directory, so that nothing is ever stale.
func home(root string) (string, error) {
	base, err := CacheDir()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, "tools", file))
		if err != nil {
			return "", fmt.Errorf("reading which Pulumi is pinned: %w; run this in a clone of Berth", err)
		}
		h.Write(content)
	}
	return filepath.Join(base, fmt.Sprintf("pulumi-%x", h.Sum(nil)[:6])), nil
}

// lock takes the file lock. Waiting for another process is worth a word.
func lock(ctx context.Context, path string, progress Progress) (unlock func(), err error) {
	type result struct {
		unlock func()
		err    error
	}
	taken := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(path).Lock()
		taken <- result{unlock, err}
	}()
	patience, stop := context.WithTimeout(ctx, lockPatience)
	defer stop()
	for waiting := patience; ; waiting = ctx {
		select {
		case r := <-taken:
			return r.unlock, r.err
		case <-waiting.Done():
		}
		if err := ctx.Err(); err != nil {
			go func() { // the lock may still come: give it back
				if r := <-taken; r.err == nil {
					r.unlock()
				}
			}()
			return nil, fmt.Errorf("waiting for another process to build Pulumi: %w", err)
		}
		progress.Note("Another process is building the Pulumi command; waiting for it.")
	}
}

// Root is the directory of Berth's go.mod, from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "go.mod")); err == nil {
			if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
				return dir, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this is not a clone of Berth: no Pulumi.yaml with tools/go.mod here or above; change into your clone")
		}
		dir = parent
	}
}

func executableSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
