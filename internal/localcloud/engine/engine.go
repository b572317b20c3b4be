// Package engine runs Pulumi programs with the real engine on a local cloud,
// and nowhere else.
//
// It reaches no real account, by four independent means: the sandbox's empty
// environment, an access token that only the local cloud knows, endpoints on
// loopback, and a program that declares nothing until the engine has shown that
// it is attached to this very cloud's resource provider.
package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-mcp/berth/internal/localcloud/provider"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"go.yaml.in/yaml/v3"
)

// Cloud is what the engine needs of a local cloud.
type Cloud interface {
	// ProviderConfig is the configuration of the gcp provider: endpoints and
	// the operator's access token.
	ProviderConfig() map[string]string
	// ProviderPort is where the resource provider listens on loopback.
	ProviderPort() int
	// Nonce is what the resource provider answers to the attachment question.
	Nonce() string
}

// Options say which project and stack to run.
type Options struct {
	Pulumi auto.PulumiCommand
	Cloud  Cloud
	// Dir is a directory for the backend, the stack's file and Pulumi's home. A
	// stack found there by the same name is continued.
	Dir string
	// Project is the path of Pulumi.yaml, Stack the stack's name.
	Project, Stack string
	// Config is the stack's configuration, on top of the provider's.
	Config map[string]any
	// Program is what to run; the engine wraps it in the attachment check.
	Program pulumi.RunFunc
}

// New prepares the stack. It starts nothing; the stack's methods do.
func New(ctx context.Context, o Options) (auto.Stack, error) {
	if os.Getenv("CLOUDSDK_CONFIG") == "" || os.Getenv("GOOGLE_APPLICATION_CREDENTIALS") != "" {
		return auto.Stack{}, errors.New("the engine runs only inside the sandbox: call sandbox.Enter first")
	}
	project, err := workspace.LoadProject(o.Project)
	if err != nil {
		return auto.Stack{}, fmt.Errorf("reading %s: %w", o.Project, err)
	}
	project.Main = "" // the program is this process
	work := filepath.Join(o.Dir, "work")
	if err := prepare(work, o); err != nil {
		return auto.Stack{}, err
	}
	return auto.UpsertStackInlineSource(ctx, o.Stack, project.Name.String(), guarded(o.Cloud.Nonce(), o.Program),
		auto.Pulumi(o.Pulumi),
		auto.Project(*project),
		auto.WorkDir(work),
		auto.PulumiHome(filepath.Join(o.Dir, "home")),
		auto.EnvVars(Env(o.Cloud, o.Dir)),
	)
}

// Env is the environment in which the pulumi command finds its backend below
// dir and attaches to the cloud's provider.
func Env(cloud Cloud, dir string) map[string]string {
	return map[string]string{
		"PULUMI_HOME":              filepath.Join(dir, "home"),
		"PULUMI_BACKEND_URL":       "file://" + filepath.ToSlash(filepath.Join(dir, "backend")),
		"PULUMI_CONFIG_PASSPHRASE": "local",
		"PULUMI_DEBUG_PROVIDERS":   fmt.Sprintf("gcp:%d", cloud.ProviderPort()),
		"PULUMI_SKIP_UPDATE_CHECK": "true",
		// A plugin that was fetched would be the real one.
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
	}
}

// prepare makes the directories and writes the stack's file, keeping what the
// engine itself has put there (the salt of its secrets).
func prepare(work string, o Options) error {
	for _, dir := range []string{work, filepath.Join(o.Dir, "backend"), filepath.Join(o.Dir, "home")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	path := filepath.Join(work, "Pulumi."+o.Stack+".yaml")
	stack := map[string]any{}
	content, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(content, &stack)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	stack["config"] = Config(o.Cloud, o.Config)
	if content, err = yaml.Marshal(stack); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.WriteFile(path, content, 0o600)
}

// Config adds the provider's configuration to a stack's own, and wins over it.
func Config(cloud Cloud, own map[string]any) map[string]any {
	all := maps.Clone(own)
	if all == nil {
		all = map[string]any{}
	}
	for key, value := range cloud.ProviderConfig() {
		all[key] = value
	}
	return all
}

type attachment struct {
	Nonce string `pulumi:"nonce"`
}

// guarded runs the program only if the engine is attached to this cloud.
func guarded(nonce string, program pulumi.RunFunc) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var at attachment
		err := ctx.Invoke(provider.AttachedToken, &struct{}{}, &at)
		if err != nil || at.Nonce != nonce {
			return fmt.Errorf("the engine is not attached to the local cloud, so nothing was run: %w", errors.Join(err, wrongNonce(at.Nonce, nonce)))
		}
		return program(ctx)
	}
}

func wrongNonce(got, want string) error {
	if got == want || strings.TrimSpace(got) == "" {
		return nil
	}
	return errors.New("it is attached to another one")
}
