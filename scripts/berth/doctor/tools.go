package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/internal/toolchain"
	"github.com/berth-mcp/berth/proxy/address"
	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"go.yaml.in/yaml/v3"
)

// tool is a program that an operator needs.
type tool struct {
	name    string
	version []string // arguments that print the version; none where that would write files
	why     string
	missing status
	install string
	tooOld  func(root, version string) string // what is wrong with an old version; nil where any will do
}

var neededTools = []tool{
	{"pulumi", []string{"version"}, "deploys the stack", wrong, "curl -fsSL https://get.pulumi.com | sh", oldPulumi},
	// Not "go version": this is the Go that builds in the project's directory, which an
	// older one on the PATH may have fetched because go.mod names it.
	{"go", []string{"env", "GOVERSION"}, "compiles the program and the server", wrong, "see https://go.dev/dl/", oldGo},
	{"gcloud", nil, "logs people in; not needed where a service account deploys", warning, "see https://cloud.google.com/sdk/docs/install", nil},
}

// tools looks at this machine: the programs, and where Pulumi keeps its state.
func tools(ctx context.Context, s stack) []finding {
	var findings []finding
	for _, t := range neededTools {
		findings = append(findings, t.look(ctx, s.root))
	}
	return append(findings, backend(s)...)
}

// oldPulumi reports a version that Berth was not tested with.
func oldPulumi(_, found string) string {
	if v, err := semver.ParseTolerant(found); err == nil && v.LT(sdk.Version) {
		return fmt.Sprintf("%s is older than %s, which Berth is tested with", found, sdk.Version)
	}
	return ""
}

// oldGo reports a Go whose standard library, which is part of the server's image, lacks
// security fixes.
func oldGo(root, found string) string {
	required := toolchain.Required(filepath.Join(root, "go.mod"))
	// A Go built from source has "devel" in front, and experiments follow.
	release, _, _ := strings.Cut(strings.TrimPrefix(found, "devel "), " ")
	if !version.IsValid(release) {
		return fmt.Sprintf("%q is not a version of Go; the server's image needs %s or newer", found, required)
	}
	if version.Compare(release, required) < 0 {
		return fmt.Sprintf("%s is older than %s and lacks security fixes, and so would the server's image, which it builds", found, required)
	}
	return ""
}

// versionTime bounds a tool's answer to the question for its version.
const versionTime = 20 * time.Second

// look asks a tool for its version, in the project's directory.
func (t tool) look(ctx context.Context, root string) finding {
	path, err := exec.LookPath(t.name)
	if err != nil {
		return finding{Check: t.name, Status: t.missing, Says: "is not on the PATH; it " + t.why}.by(t.install)
	}
	if t.version == nil {
		return fine(t.name, "%s", path)
	}
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, t.version...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	if err != nil {
		return doubt(t.name, "%s does not tell its version: %v", path, err).by(shellQuoted(path) + " " + strings.Join(t.version, " "))
	}
	found, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if t.tooOld != nil {
		if problem := t.tooOld(root, found); problem != "" {
			return doubt(t.name, "%s", problem).by(t.install)
		}
	}
	return fine(t.name, "%s", found)
}

// backend looks at where the state is, and at what opens the secrets in it. Pulumi
// itself is not asked: it would write into a backend that is new.
func backend(s stack) []finding {
	state, err := backendURL(s.root)
	if err != nil {
		return []finding{fault("state", "%v", err).by("pulumi login --local")}
	}
	if state == "" {
		return []finding{fault("state", "pulumi is not logged in to a state backend, which is where it remembers what it deployed").
			by("pulumi login gs://BUCKET", "pulumi login --local")}
	}
	shown := showBackend(state)
	findings := []finding{fine("state", "%s", shown)}
	if strings.HasPrefix(state, "file://") {
		findings = []finding{doubt("state", "%s: on this machine alone; whoever else deploys needs a backend that all reach", shown).
			by("pulumi login gs://BUCKET")}
	}
	return append(findings, passphrase(s, state))
}

// showBackend returns the backend's URL for a message: scheme, host and path. A password in
// it (postgres://USER:PASSWORD@HOST/DATABASE) and a query are left out.
func showBackend(backend string) string {
	u, err := url.Parse(backend)
	if err != nil || u.Scheme == "" {
		return "set, but not shown: it is not a URL"
	}
	return address.Show(u)
}

// backendURL is where the state is, by Pulumi's own order: the environment, the
// project's file, the last login.
func backendURL(root string) (string, error) {
	if given := os.Getenv("PULUMI_BACKEND_URL"); given != "" {
		return given, nil
	}
	var project struct{ Backend struct{ URL string } }
	if err := read(filepath.Join(root, "Pulumi.yaml"), yaml.Unmarshal, &project); err != nil {
		return "", err
	}
	if project.Backend.URL != "" {
		return project.Backend.URL, nil
	}
	for _, variable := range []string{workspace.PulumiCredentialsPathEnvVar, "PULUMI_HOME"} {
		if dir := os.Getenv(variable); dir != "" {
			if err := pathname.Check(pathname.Directory, dir); err != nil {
				return "", fmt.Errorf("%s: %w", variable, err)
			}
		}
	}
	// Pulumi takes the home that the system knows, which need not be HOME.
	home, err := workspace.GetPulumiHomeDir()
	if err != nil {
		return "", err
	}
	home = cmp.Or(os.Getenv(workspace.PulumiCredentialsPathEnvVar), home)
	var logins struct{ Current string } // the tokens beside it are not read
	err = read(filepath.Join(home, "credentials.json"), json.Unmarshal, &logins)
	return logins.Current, err
}

// read decodes a file, if there is one.
func read(path string, decode func([]byte, any) error, into any) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := decode(content, into); err != nil {
		return errors.New(path + " cannot be read: it is not what pulumi writes")
	}
	return nil
}

const makePassphrase = `(umask 077; openssl rand -base64 32 > ~/.berth.passphrase); export PULUMI_CONFIG_PASSPHRASE_FILE=~/.berth.passphrase`

// passphrase looks at what encrypts the secrets of a stack whose state is with
// nobody who would do it.
func passphrase(s stack, backend string) finding {
	file := os.Getenv("PULUMI_CONFIG_PASSPHRASE_FILE")
	_, set := os.LookupEnv("PULUMI_CONFIG_PASSPHRASE")
	switch {
	case s.encrypted != "":
		return fine("passphrase", "not needed: %s encrypts the stack's secrets", strings.SplitN(s.encrypted, "://", 2)[0])
	case strings.HasPrefix(backend, "https://"):
		return fine("passphrase", "not needed: the backend encrypts the stack's secrets")
	case file != "":
		err := pathname.Check(pathname.File, file)
		if err == nil {
			_, err = os.ReadFile(file)
		}
		if err != nil {
			return fault("passphrase", "PULUMI_CONFIG_PASSPHRASE_FILE: %v", err).by("export PULUMI_CONFIG_PASSPHRASE_FILE=FILE")
		}
		return fine("passphrase", "in %s", file)
	case set:
		return fine("passphrase", "in PULUMI_CONFIG_PASSPHRASE")
	}
	return doubt("passphrase", "neither PULUMI_CONFIG_PASSPHRASE nor PULUMI_CONFIG_PASSPHRASE_FILE is set: pulumi will ask, and a pipeline cannot answer").
		by(makePassphrase)
}
