package pulumicli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	pulumiPackage = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
	pulumiModule  = "github.com/pulumi/pulumi/pkg/v3"
	versionVar    = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

	// lockPatience is how long to wait in silence for another process.
	lockPatience = 500 * time.Millisecond
)

// build compiles the pinned command. The result appears under its name only
// when it is whole.
func build(ctx context.Context, tools, binary string, progress Progress) error {
	version, err := goCommand(ctx, tools, "list", "-m", "-f", "{{.Version}}", pulumiModule).Output()
	if err != nil {
		return fmt.Errorf("asking which Pulumi tools/go.mod pins: %w", explain(err))
	}
	pinned := strings.TrimSpace(string(version))
	progress.Note(fmt.Sprintf("There is no pulumi command on PATH that is as new as %s, so that is built from source: once, in about five minutes on two cores.", pinned))

	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return fmt.Errorf("making the cache for Pulumi: %w", err)
	}
	unfinished := binary + ".unfinished"
	// The version is stamped in as Pulumi's own release build does it; without
	// it the Automation API refuses the command.
	flags := []string{"-ldflags", fmt.Sprintf("-s -w -X %s=%s", versionVar, pinned)}
	total, err := stalePackages(ctx, tools, flags)
	if err != nil {
		return err
	}
	args := append(append([]string{"build", "-v", "-o", unfinished}, flags...), pulumiPackage)
	if err := compile(goCommand(ctx, tools, args...), total, progress); err != nil {
		return fmt.Errorf("building Pulumi %s: %w", pinned, err)
	}
	return os.Rename(unfinished, binary)
}

// stalePackages counts what is left to compile. It also fetches the sources.
func stalePackages(ctx context.Context, tools string, flags []string) (int, error) {
	args := append(append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, flags...), pulumiPackage)
	out, err := goCommand(ctx, tools, args...).Output()
	if err != nil {
		return 0, fmt.Errorf("fetching Pulumi's source: %w", explain(err))
	}
	return len(bytes.Fields(out)), nil
}

// compile runs "go build -v", which names each package on a line as it is
// compiled, between the compiler's complaints.
func compile(cmd *exec.Cmd, total int, progress Progress) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var last []string // the end of the output says what went wrong
	done := 0
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		done++
		progress.Compiled(min(done, total), total)
		last = append(last[max(0, len(last)-9):], lines.Text())
	}
	if err := lines.Err(); err != nil {
		_, _ = io.Copy(io.Discard, stderr)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.Join(last, "\n"))
	}
	return nil
}

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	// A shell's own flags and workspaces are meant for other builds. All else is
	// as in a plain "go build", so that what Berth itself has compiled already
	// is not compiled again.
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	return cmd
}

// explain adds what a failed command said to its error.
func explain(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
