package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/berth-mcp/berth/proxy/filestate"
	"github.com/berth-mcp/berth/proxy/ownfile"
)

// gcloudStop is how long gcloud may take to end when it is not waited for any more.
const gcloudStop = time.Second

// gcloud is the login of the gcloud command: the last resort, as it takes a second and a
// process for each token.
type gcloud struct {
	account string // empty: the one that is active
}

// email is what may stand in a command line as an account.
var email = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9.-]+$`)

func (g *gcloud) String() string        { return "gcloud's login" }
func (g *gcloud) choosesAudience() bool { return false }

func (g *gcloud) installed() bool {
	_, err := exec.LookPath("gcloud")
	return err == nil
}

// watchedGcloud is gcloud's login, of which the files are looked at that change when somebody
// logs in, or makes another account or configuration the active one.
func watchedGcloud(look func(file string) filestate.State) (credential, error) {
	files, err := gcloudFiles()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		look(file)
	}
	return &gcloud{}, nil
}

// gcloudKind is of files that tell gcloud whose token it gets, and from where.
var gcloudKind = ownfile.Kind{Name: "a file of gcloud's"}

// checkGcloud returns an error if others can write what gcloud goes by.
func checkGcloud() error {
	files, err := gcloudFiles()
	if err != nil {
		return err
	}
	for _, file := range files {
		var unsafe *ownfile.UnsafeError
		if errors.As(gcloudKind.Check(file), &unsafe) {
			return loginError("gcloud is not asked: %v", unsafe)
		}
	}
	return nil
}

func gcloudFiles() ([]string, error) {
	dir, err := gcloudDir()
	if err != nil {
		return nil, err
	}
	active := "default"
	if content, err := os.ReadFile(filepath.Join(dir, "active_config")); err == nil && len(content) < 256 {
		active = strings.TrimSpace(string(content))
	}
	return []string{
		filepath.Join(dir, "active_config"),
		filepath.Join(dir, "credentials.db"),
		filepath.Join(dir, "configurations", "config_"+active),
	}, nil
}

func (g *gcloud) idToken(ctx context.Context, _ string) (Token, error) {
	raw, err := g.run(ctx, "print-identity-token")
	if err != nil {
		return Token{}, err
	}
	return parseNew(raw, "gcloud")
}

func (g *gcloud) accessToken(ctx context.Context) (string, error) {
	return g.run(ctx, "print-access-token")
}

func (g *gcloud) run(ctx context.Context, what string) (string, error) {
	path, err := exec.LookPath("gcloud")
	if err != nil {
		return "", loginError("there is no gcloud command: install it from https://cloud.google.com/sdk/docs/install, or use another login")
	}
	if err := checkGcloud(); err != nil {
		return "", err
	}
	args := []string{"auth", what, "--quiet"}
	if g.account != "" {
		if !email.MatchString(g.account) {
			return "", fmt.Errorf("%q is no account that gcloud could be asked for", g.account)
		}
		args = append(args, "--account="+g.account)
	}
	command := exec.CommandContext(ctx, path, args...)
	command.WaitDelay = gcloudStop
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, GivenVariable+"=") {
			command.Env = append(command.Env, variable)
		}
	}
	var stdout bytes.Buffer
	answer := &limited{&stdout, maxAnswer}
	command.Stdout = answer
	// What it says in words is not passed on: it is long, and not ours to vouch for.
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("wait for `gcloud auth %s`: %w: run it by itself to see what holds it up", what, ctx.Err())
	case answer.left < 0:
		return "", fmt.Errorf("`gcloud auth %s` wrote more than a token: run it by itself to see what it is", what)
	case errors.As(err, &exit):
		return "", loginError("`gcloud auth %s` failed (%v): run `gcloud auth login`", what, exit.ProcessState)
	case err != nil:
		return "", fmt.Errorf("run `gcloud auth %s`: %w", what, err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// limited fails a program that writes too much.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, io.ErrShortWrite
	}
	return l.w.Write(p)
}
