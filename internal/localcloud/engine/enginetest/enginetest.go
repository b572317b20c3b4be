// Package enginetest is what tests share that run client stacks with the real
// engine on a local cloud.
package enginetest

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/berth-mcp/berth/infra/client"
	"github.com/berth-mcp/berth/infra/project"
	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine"
	"github.com/berth-mcp/berth/internal/localcloud/sandbox"
	"github.com/berth-mcp/berth/internal/pulumicli"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"google.golang.org/api/option"
)

// What there is in the cloud of [StartCloud].
const (
	Project   = "berth-test"
	Operator  = "operator@example.com"
	AcmeGroup = "acme-developers@example.com"
	Ada       = "ada@example.com" // in AcmeGroup
	// Key is an encryption key.
	Key = "projects/" + Project + "/locations/europe-west1/keyRings/berth/cryptoKeys/berth"
	// BillingAccount pays for the project.
	BillingAccount = "012345-6789AB-CDEF01"
)

var (
	// Pulumi is the command that all tests use, once [Main] runs them.
	Pulumi auto.PulumiCommand
	// Root is the directory of the clone.
	Root string
)

// Main runs a package's tests inside the sandbox, with a Pulumi command. It is
// called by TestMain and does not return.
func Main(m *testing.M) {
	os.Exit(func() int {
		home, err := os.MkdirTemp("", "berth-engine-")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(home)
		if Root, err = pulumicli.Root(); err != nil {
			log.Fatal(err)
		}
		if err := sandbox.Enter(home); err != nil {
			log.Fatal(err)
		}
		if Pulumi, err = pulumicli.Find(context.Background(), Root, progress{}); err != nil {
			log.Fatal(err)
		}
		log.SetOutput(io.Discard) // the image builder's
		return m.Run()
	}())
}

// progress says on stderr what takes long, once a tenth of the way.
type progress struct{}

func (progress) Note(sentence string) { fmt.Fprintln(os.Stderr, sentence) }

func (progress) Compiled(done, total int) {
	if step := max(1, total/10); done%step == 0 {
		fmt.Fprintf(os.Stderr, "compiled %d of %d packages\n", done, total)
	}
}

// StartCloud starts a local cloud with the project and one group with Ada in it.
func StartCloud(t *testing.T) *localcloud.Cloud {
	t.Helper()
	cloud, err := localcloud.Start(localcloud.Options{
		Dir:      t.TempDir(),
		Projects: map[string]int64{Project: 123456789012},
		Operator: Operator,
		Keys:     []string{Key},

		BillingAccount: BillingAccount,
		// The server listens everywhere unless it is told.
		InstanceEnv: map[string]string{"BERTH_LISTEN": "127.0.0.1"},
		StorageVar:  "BERTH_STORAGE_ENDPOINT",
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cloud.Close()) })
	people := cloud.Directory()
	require.NoError(t, people.AddPerson(Ada))
	require.NoError(t, people.AddGroup(AcmeGroup))
	require.NoError(t, people.AddMember(AcmeGroup, Ada))
	return cloud
}

// Config is the least configuration of a stack, for the platform that this machine runs.
func Config(cloud *localcloud.Cloud, changes map[string]any) map[string]any {
	all := map[string]any{
		"gcp:project":        Project,
		"gcp:region":         "europe-west1",
		"berth:build":        filepath.Join(Root, "server"),
		"berth:platforms":    []string{runtime.GOOS + "/" + runtime.GOARCH},
		"berth:developers":   []string{"group:" + AcmeGroup},
		"berth:registryHost": cloud.RegistryHost(),
	}
	for key, value := range changes {
		all[key] = value
	}
	return all
}

// Stack prepares a stack with a configuration; calling it again for the same
// directory and name changes the configuration.
func Stack(t *testing.T, cloud *localcloud.Cloud, dir, name string, changes map[string]any) auto.Stack {
	t.Helper()
	return stack(t, cloud, dir, name, Config(cloud, changes), client.Stack)
}

// Shared prepares the stack of the project, which is named "shared", with a
// configuration; calling it again for the same directory changes the configuration.
func Shared(t *testing.T, cloud *localcloud.Cloud, dir string, changes map[string]any) auto.Stack {
	t.Helper()
	config := map[string]any{"berth:kind": "project", "gcp:project": Project, "gcp:region": "europe-west1"}
	maps.Copy(config, changes)
	return stack(t, cloud, dir, "shared", config, project.Stack)
}

// Program prepares a stack with a program of the test's own, and the least
// configuration; calling it again for the same directory changes the program.
// The APIs that it names are enabled before the program declares anything.
func Program(t *testing.T, cloud *localcloud.Cloud, dir string, apis []string, program func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error) auto.Stack {
	t.Helper()
	return ProgramWith(t, cloud, dir, nil, apis, program)
}

// ProgramWith is [Program] with more configuration.
func ProgramWith(t *testing.T, cloud *localcloud.Cloud, dir string, config map[string]any, apis []string, program func(ctx *pulumi.Context, enabled pulumi.ResourceOption) error) auto.Stack {
	t.Helper()
	return stack(t, cloud, dir, "program", Config(cloud, config), func(ctx *pulumi.Context) error {
		var enabled []pulumi.Resource
		for _, name := range apis {
			api, err := projects.NewService(ctx, name, &projects.ServiceArgs{Service: pulumi.String(name), DisableOnDestroy: pulumi.Bool(false)})
			if err != nil {
				return err
			}
			enabled = append(enabled, api)
		}
		return program(ctx, pulumi.DependsOn(enabled))
	})
}

func stack(t *testing.T, cloud *localcloud.Cloud, dir, name string, config map[string]any, program pulumi.RunFunc) auto.Stack {
	t.Helper()
	stack, err := engine.New(t.Context(), engine.Options{
		Pulumi:  Pulumi,
		Cloud:   cloud,
		Dir:     dir,
		Project: filepath.Join(Root, "Pulumi.yaml"),
		Stack:   name,
		Config:  config,
		Program: program,
	})
	require.NoError(t, err)
	return stack
}

// Up deploys and gives the outputs and what changed, by operation, without what
// stayed the same.
func Up(t *testing.T, stack auto.Stack) (auto.OutputMap, map[string]int) {
	t.Helper()
	result, err := stack.Up(t.Context(), optup.SuppressProgress())
	require.NoError(t, err)
	return result.Outputs, changes(result.Summary.ResourceChanges)
}

func changes(summary *map[string]int) map[string]int {
	changed := map[string]int{}
	if summary != nil {
		for op, n := range *summary {
			if op != "same" && n > 0 {
				changed[op] = n
			}
		}
	}
	return changed
}

// Refresh reads the cloud and gives what was found changed.
func Refresh(t *testing.T, stack auto.Stack) map[string]int {
	t.Helper()
	result, err := stack.Refresh(t.Context(), optrefresh.SuppressProgress())
	require.NoError(t, err)
	return changes(result.Summary.ResourceChanges)
}

// Settled asserts that a stack is as it was declared: neither a second update
// nor a refresh finds anything to do.
func Settled(t *testing.T, stack auto.Stack) {
	t.Helper()
	_, changed := Up(t, stack)
	assert.Empty(t, changed, "a second up")
	assert.Empty(t, Refresh(t, stack), "a refresh")
}

// Destroyed takes a stack down, and asserts that nothing but enabled APIs is left.
func Destroyed(t *testing.T, cloud *localcloud.Cloud, stack auto.Stack) {
	t.Helper()
	_, err := stack.Destroy(t.Context())
	require.NoError(t, err)
	assert.Empty(t, cloud.Inventory())
}

// API are the options of an official REST client of any of the cloud's APIs, as
// the operator.
func API(cloud *localcloud.Cloud) []option.ClientOption {
	config := cloud.ProviderConfig()
	return []option.ClientOption{
		option.WithEndpoint(config["gcp:monitoringCustomEndpoint"]),
		option.WithHTTPClient(oauth2.NewClient(context.Background(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: config["gcp:accessToken"]}))),
	}
}

// Quota is the configuration that says who pays for calls about groups and budgets,
// which belong to no project.
func Quota() map[string]any {
	return map[string]any{"gcp:userProjectOverride": true, "gcp:billingProject": Project}
}
