package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/berth-mcp/berth/infra/policy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/urn"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// plan gives the resources that declare would register, sorted by type and name,
// without any engine: nothing has been created yet when the policies see them. The
// values of secrets are not in it.
func plan(ctx context.Context, name string, args *ServerArgs, source *image.Image) ([]policy.Resource, error) {
	seen := &planner{project: args.Project}
	inner, err := pulumi.NewContext(ctx, pulumi.RunInfo{
		Project: "plan", Stack: "plan", Mocks: seen,
		DryRun: true, // which pushes no image
	})
	if err != nil {
		return nil, fmt.Errorf("planning: %w", err)
	}
	err = pulumi.RunWithContext(inner, func(inner *pulumi.Context) error {
		_, err := declare(inner, name, args.masked(), source)
		return err
	})
	if closing := inner.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, fmt.Errorf("planning: %w", err)
	}
	slices.SortFunc(seen.graph, func(a, b policy.Resource) int {
		return strings.Compare(a.Type+" "+a.Name, b.Type+" "+b.Name)
	})
	return seen.graph, nil
}

// masked has placeholders for the secrets' values. The real ones may be outputs of
// other resources, which nothing may wait for here.
func (a *ServerArgs) masked() *ServerArgs {
	masked := *a
	masked.Secrets = maps.Clone(a.Secrets)
	for name, s := range masked.Secrets {
		if s.Value != nil {
			s.Value = pulumi.ToSecret(pulumi.String("[secret]")).(pulumi.StringOutput)
			masked.Secrets[name] = s
		}
	}
	return &masked
}

// planner notes what is registered, and answers with what others refer to.
type planner struct {
	project string
	mu      sync.Mutex
	graph   []policy.Resource
}

func (p *planner) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := policy.Resource{Type: args.TypeToken, Name: args.Name, Inputs: args.Inputs, Protected: args.RegisterRPC.GetProtect(),
		IgnoreChanges: args.RegisterRPC.GetIgnoreChanges(), Transforms: len(args.RegisterRPC.GetTransforms()) > 0}
	if parent := urn.URN(args.RegisterRPC.GetParent()); parent.IsValid() && parent.Type() != resource.RootStackType {
		r.Parent = parent.Name()
	}
	for _, on := range args.RegisterRPC.GetDependencies() {
		r.DependsOn = append(r.DependsOn, fmt.Sprintf("%s %s", urn.URN(on).Type(), urn.URN(on).Name()))
	}
	slices.Sort(r.DependsOn)
	p.graph = append(p.graph, r)
	return args.Name + "-id", p.state(args), nil
}

// state is what Google would have computed.
func (p *planner) state(args pulumi.MockResourceArgs) resource.PropertyMap {
	state := args.Inputs.Copy()
	switch args.TypeToken {
	case "gcp:serviceaccount/account:Account":
		state["email"] = resource.NewProperty(args.Inputs["accountId"].StringValue() + "@" + policy.AccountHost(p.project))
	case "gcp:cloudrunv2/service:Service":
		state["uri"] = resource.NewProperty("https://" + args.Inputs["name"].StringValue() + ".a.run.app")
	case "gcp:secretmanager/secretVersion:SecretVersion":
		state["version"] = resource.NewProperty("1")
	}
	return state
}

func (p *planner) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the plan calls %s, which needs an engine", args.Token)
}
