package try

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/infra/client"
	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine"
	"github.com/berth-mcp/berth/internal/localcloud/sandbox"
	"github.com/berth-mcp/berth/internal/pulumicli"
	"github.com/berth-mcp/berth/internal/watchdog"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"go.yaml.in/yaml/v3"
)

// The cast. Pulumi.dev.yaml lets the group in.
const (
	stackName = "dev"
	operator  = "operator@example.com"
	group     = "dev-developers@example.com"
	ada       = "ada@example.com"
	bo        = "bo@example.com"
)

// world is where the story takes place: a local cloud, a stack, and the
// developers' own machines as far as a proxy and a login make one.
type world struct {
	story    *story // hears what the running step is at
	watchdog *watchdog.Watchdog
	dir      string // everything that is written, removed at the end
	root     string // the clone
	port     int    // of Ada's proxy
	cloud    *localcloud.Cloud
	stack    auto.Stack
	project  string // the Google project of the stack
	url      string // of the service, once up

	proxyBinary string
	ada, bo     *proxy
}

func newWorld(ctx context.Context, s *story, port int) (*world, error) {
	root, err := pulumicli.Root()
	if err != nil {
		return nil, err
	}
	// The proxy itself would find out only after the deployment.
	if err := relay.CheckPort(port); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "berth-try-")
	if err != nil {
		return nil, fmt.Errorf("making a directory to work in: %w; set TMPDIR to one that you may write", err)
	}
	guard, err := watchdog.New(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	w := &world{story: s, watchdog: guard, dir: dir, root: root, port: port}
	if err := w.make(ctx); err != nil {
		return nil, errors.Join(unlessInterrupted(ctx, err), w.close())
	}
	return w, nil
}

// make starts what the story takes place on.
func (w *world) make(ctx context.Context) error {
	if err := sandbox.Enter(filepath.Join(w.dir, "home")); err != nil {
		return err
	}
	if err := w.keepTemporaryFiles(); err != nil {
		return err
	}
	log.SetOutput(io.Discard) // the image builder's; its errors come back as such
	command, err := pulumicli.Find(ctx, w.root, w.story)
	if err != nil {
		return err
	}
	done := w.story.begin(fmt.Sprintf("A local cloud, and Pulumi %s", command.Version()))
	err = w.start(ctx, command)
	done(err)
	return err
}

// keepTemporaryFiles makes what compilers write for a while go with the rest: "go
// build" leaves hundreds of megabytes behind when it is interrupted.
func (w *world) keepTemporaryFiles() error {
	temporary := filepath.Join(w.dir, "tmp")
	if err := os.Mkdir(temporary, 0o700); err != nil {
		return err
	}
	return os.Setenv("TMPDIR", temporary)
}

func (w *world) start(ctx context.Context, command auto.PulumiCommand) error {
	config, err := w.stackConfig()
	if err != nil {
		return err
	}
	w.project, _ = config["gcp:project"].(string)
	w.cloud, err = localcloud.Start(localcloud.Options{
		Dir:      filepath.Join(w.dir, "cloud"),
		Projects: map[string]int64{w.project: 123456789012},
		Operator: operator,
		// The server listens everywhere unless it is told; here only loopback.
		InstanceEnv: map[string]string{"BERTH_LISTEN": "127.0.0.1"},
		StorageVar:  "BERTH_STORAGE_ENDPOINT",
	})
	if err != nil {
		return err
	}
	config["berth:registryHost"] = w.cloud.RegistryHost()
	people := w.cloud.Directory()
	if err := errors.Join(
		people.AddPerson(ada), people.AddPerson(bo),
		people.AddGroup(group), people.AddMember(group, ada),
	); err != nil {
		return err
	}
	w.stack, err = engine.New(ctx, engine.Options{
		Pulumi:  command,
		Cloud:   w.cloud,
		Dir:     filepath.Join(w.dir, "pulumi"),
		Project: filepath.Join(w.root, "Pulumi.yaml"),
		Stack:   stackName,
		Config:  config,
		Program: client.Stack,
	})
	return err
}

// stackConfig is Pulumi.dev.yaml, as it is, with three things of this machine:
// where the source and the registry are, and what an instance can run on.
func (w *world) stackConfig() (map[string]any, error) {
	path := filepath.Join(w.root, "Pulumi."+stackName+".yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct{ Config map[string]any }
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if project, _ := file.Config["gcp:project"].(string); project == "" {
		return nil, fmt.Errorf("%s: gcp:project is empty; set it to any project id", path)
	}
	if !strings.Contains(fmt.Sprint(file.Config["berth:developers"]), "group:"+group) {
		return nil, fmt.Errorf("%s: berth:developers does not hold group:%s, which the story is about; put it back, or take your own stack up with pulumi", path, group)
	}
	build, _ := file.Config["berth:build"].(string)
	if strings.HasPrefix(build, ".") {
		file.Config["berth:build"] = filepath.Join(w.root, build)
	}
	file.Config["berth:platforms"] = []string{runtime.GOOS + "/" + runtime.GOARCH}
	return file.Config, nil
}

func (w *world) up(ctx context.Context) ([]string, error) {
	events, ended := follow(w.story)
	result, err := w.stack.Up(ctx, optup.SuppressProgress(), optup.EventStreams(events))
	if err != nil {
		return nil, failure(err, ended)
	}
	w.url, _ = result.Outputs["url"].Value.(string)
	image, _ := result.Outputs["image"].Value.(string)
	_, digest, _ := strings.Cut(image, "@")
	return []string{
		"created: " + (<-ended).changed,
		"the service is at " + w.url,
		fmt.Sprintf("image %.23s…", digest),
		fmt.Sprintf("roles/run.invoker: %v", result.Outputs["developers"].Value),
	}, nil
}

func (w *world) adaCalls(ctx context.Context) (details []string, err error) {
	if w.ada, err = w.login(ctx, ada, w.port); err != nil {
		return nil, err
	}
	return w.isLetIn(ctx, w.ada)
}

func (w *world) boIsRefused(ctx context.Context) (details []string, err error) {
	if w.bo, err = w.login(ctx, bo, 0); err != nil {
		return nil, err
	}
	return w.isRefused(ctx, w.bo)
}

func (w *world) onboard(ctx context.Context) ([]string, error) {
	if err := w.cloud.Directory().AddMember(group, bo); err != nil {
		return nil, err
	}
	return w.isLetIn(ctx, w.bo)
}

func (w *world) offboard(ctx context.Context) ([]string, error) {
	if err := w.cloud.Directory().RemoveMember(group, bo); err != nil {
		return nil, err
	}
	return w.isRefused(ctx, w.bo)
}

// isLetIn holds if the developer's call works and the server knows who it is.
func (w *world) isLetIn(ctx context.Context, p *proxy) ([]string, error) {
	a, err := visit(ctx, p.endpoint)
	if err != nil {
		return nil, err
	}
	if a.Email != p.developer {
		return nil, fmt.Errorf("the server takes %s for %q", p.developer, a.Email)
	}
	if a.Goals == 0 {
		return nil, errors.New("the server lists no goals")
	}
	return []string{fmt.Sprintf("whoami: %s, at %s; list_goals: %d found", a.Email, a.Client, a.Goals)}, nil
}

// isRefused holds if the developer's editor is told, in words, why not.
func (w *world) isRefused(ctx context.Context, p *proxy) ([]string, error) {
	sentence, err := refusal(ctx, p.endpoint)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(sentence, p.developer) {
		return nil, fmt.Errorf("the refusal does not name the account: %s", sentence)
	}
	return []string{"the editor shows: " + sentence}, nil
}

func (w *world) destroy(ctx context.Context) ([]string, error) {
	events, ended := follow(w.story)
	if _, err := w.stack.Destroy(ctx, optdestroy.SuppressProgress(), optdestroy.EventStreams(events)); err != nil {
		return nil, failure(err, ended)
	}
	return []string{"deleted: " + (<-ended).changed}, nil
}

func (w *world) nothingIsLeft(context.Context) ([]string, error) {
	if left := w.cloud.Inventory(); len(left) > 0 {
		return nil, fmt.Errorf("still there: %s", strings.Join(left, ", "))
	}
	enabled := w.cloud.EnabledServices(w.project)
	slices.Sort(enabled)
	return []string{"but the APIs that were enabled, which cost nothing: " + strings.Join(enabled, ", ")}, nil
}

// invite says how to go on by hand.
func (w *world) invite(s *story) {
	page := strings.TrimSuffix(w.ada.endpoint, "mcp")
	s.say("")
	s.say("It is up. Here you are Ada; point your editor, or any MCP client, at her proxy:")
	s.say("    %s", w.ada.endpoint)
	s.say("for instance:")
	s.say("    claude mcp add --transport http berth-dev %s", w.ada.endpoint)
	s.say("    npx @modelcontextprotocol/inspector --cli %s --transport http --method tools/list", w.ada.endpoint)
	s.say("See in a browser what it does:")
	s.say("    %s", page)
	s.say("Here you are Bo, whose editor is told why he is refused:")
	s.say("    %s", w.bo.endpoint)
	s.say("Here you are nobody, and Google's front end answers 401:")
	s.say("    curl -i %s/mcp", w.url)
	s.say("")
	s.say("Ctrl-C takes everything down again.")
}

func (w *world) close() error {
	var problems []error
	for _, p := range []*proxy{w.ada, w.bo} {
		if p != nil {
			p.stop()
		}
	}
	if w.cloud != nil {
		problems = append(problems, w.cloud.Close())
	}
	problems = append(problems, os.RemoveAll(w.dir))
	w.watchdog.Dismiss()
	return errors.Join(problems...)
}
