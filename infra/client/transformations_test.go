package client

import (
	"sync"
	"testing"

	"github.com/berth-mcp/berth/infra/policy"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// opening are resources that would open a client's server, or what it has, by their
// types. Most do not have "iam" in it.
var opening = []struct {
	token  string
	inputs pulumi.Map
}{
	{"gcp:storage/bucketACL:BucketACL", pulumi.Map{"bucket": pulumi.String("acme-prod-berth-acme"), "predefinedAcl": pulumi.String("publicRead")}},
	{"gcp:storage/bucketAccessControl:BucketAccessControl", pulumi.Map{"bucket": pulumi.String("acme-prod-berth-acme"), "entity": pulumi.String("allUsers"), "role": pulumi.String("READER")}},
	{"gcp:storage/defaultObjectAccessControl:DefaultObjectAccessControl", pulumi.Map{"bucket": pulumi.String("acme-prod-berth-acme"), "entity": pulumi.String("allUsers"), "role": pulumi.String("READER")}},
	{"gcp:serviceaccount/key:Key", pulumi.Map{"serviceAccountId": pulumi.String("berth-acme")}},
	{"gcp:bigquery/datasetAccess:DatasetAccess", pulumi.Map{"specialGroup": pulumi.String("allAuthenticatedUsers"), "role": pulumi.String("READER")}},
	{"gcp:compute/forwardingRule:ForwardingRule", pulumi.Map{"loadBalancingScheme": pulumi.String("EXTERNAL_MANAGED")}},
	{"gcp:cloudrun/iamPolicy:IamPolicy", pulumi.Map{"service": pulumi.String("berth-acme"), "policyData": pulumi.String(`{"bindings":[]}`)}},
	{"gcp:cloudrunv2/job:Job", pulumi.Map{"location": pulumi.String("europe-west1")}},
	{"gcp:cloudrunv2/jobIamMember:JobIamMember", pulumi.Map{"role": pulumi.String("roles/run.invoker"), "member": pulumi.String("allUsers")}},
	{"gcp:projects/iAMBinding:IAMBinding", pulumi.Map{"role": pulumi.String("roles/run.invoker"), "members": pulumi.StringArray{pulumi.String("group:a@example.com")}}},
	{"gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding", pulumi.Map{"role": pulumi.String("roles/run.admin"), "members": pulumi.StringArray{pulumi.String("group:a@example.com")}}},
	{"gcp:future/door:Door", pulumi.Map{"open": pulumi.Bool(true)}},
}

type intruder struct{ pulumi.CustomResourceState }

// pass is when a transformation acts: as the server is planned, or as it is declared.
type pass int

// with gives the arguments of a server with a transformation that acts once, when it
// sees the service in that pass.
func with(when pass, act func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult) *ServerArgs {
	args, seen := small("acme"), pass(0)
	args.Data.Enabled = true
	args.Transformations = []pulumi.ResourceTransformation{func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
		if _, ok := r.Props.(*cloudrunv2.ServiceArgs); !ok {
			return nil
		}
		if seen++; seen != when {
			return nil
		}
		return act(r)
	}}
	return args
}

func TestNewServer_TransformationCannotAddResources(t *testing.T) {
	for _, added := range opening {
		for name, when := range map[string]pass{"when planned": 1, "when declared": 2} {
			for place, options := range map[string]func(pulumi.Resource) []pulumi.ResourceOption{
				"in the stack": func(pulumi.Resource) []pulumi.ResourceOption { return nil },
				"under the server": func(child pulumi.Resource) []pulumi.ResourceOption {
					return []pulumi.ResourceOption{pulumi.Parent(child)}
				},
			} {
				t.Run(added.token+" "+place+" "+name, func(t *testing.T) {
					r, err := declared(t, func(ctx *pulumi.Context) error {
						_, err := NewServer(ctx, "acme", with(when, func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
							assert.NoError(t, ctx.RegisterResource(added.token, "extra", added.inputs, &intruder{}, options(r.Resource)...))
							return nil
						}))
						return err
					})
					require.ErrorContains(t, err, "extra ("+added.token+"): was declared by a transformation")
					assert.ErrorContains(t, err, "declare it next to the server")
					for _, one := range r.resources {
						assert.NotEqual(t, "extra", one.Name)
						assert.Equal(t, pass(2), when, "%s is declared although the plan was refused", one.Name)
					}
				})
			}
		}
	}
}

// What a program declares is its own, whatever it is and whenever it is declared.
func TestNewServer_ProgramMayDeclareOtherResources(t *testing.T) {
	register := func(ctx *pulumi.Context, name string) {
		assert.NoError(t, ctx.RegisterResource("gcp:compute/forwardingRule:ForwardingRule", name, pulumi.Map{}, &intruder{}))
	}
	r, err := declared(t, func(ctx *pulumi.Context) error {
		register(ctx, "before")
		var meanwhile sync.WaitGroup
		_, err := NewServer(ctx, "acme", with(1, func(*pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			meanwhile.Go(func() { register(ctx, "meanwhile") }) // as an output's function would
			meanwhile.Wait()
			return nil
		}))
		register(ctx, "after")
		return err
	})
	require.NoError(t, err)
	var names []string
	for _, one := range r.resources {
		if one.TypeToken == "gcp:compute/forwardingRule:ForwardingRule" {
			names = append(names, one.Name)
		}
	}
	assert.ElementsMatch(t, []string{"before", "meanwhile", "after"}, names)
}

func TestNewServer_TransformationCannotHideAChangeFromThePolicies(t *testing.T) {
	everyone := func(r *pulumi.ResourceTransformationArgs, members pulumi.StringArrayInput) {
		if binding, ok := r.Props.(*cloudrunv2.ServiceIamBindingArgs); ok {
			binding.Members = members
		}
	}
	for name, test := range map[string]struct {
		change func(*pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult
		says   string
	}{
		"in the value of an output": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			everyone(r, pulumi.String("all").ToStringOutput().ApplyT(func(s string) []string { return []string{s + "Users"} }).(pulumi.StringArrayOutput))
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
		}, "lets in allusers"},
		"in a secret": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			everyone(r, pulumi.ToSecret(pulumi.StringArray{pulumi.String("allAuthenticatedUsers")}).(pulumi.StringArrayOutput))
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
		}, "lets in allauthenticatedusers"},
		"in principals of another kind": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			everyone(r, pulumi.StringArray{pulumi.String("projectViewer:acme-prod")})
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
		}, `lets in "projectViewer:acme-prod"`},
		"in another role": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if binding, ok := r.Props.(*cloudrunv2.ServiceIamBindingArgs); ok {
				binding.Role = pulumi.String("projects/acme-prod/roles/anything")
			}
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
		}, `gives the role "projects/acme-prod/roles/anything"`},
		"on the service of another client": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if binding, ok := r.Props.(*cloudrunv2.ServiceIamBindingArgs); ok {
				binding.Name = pulumi.String("berth-globex")
			}
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
		}, `is on "acme-prod/europe-west1/berth-globex"`},
		"behind changes that are ignored": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: append(r.Opts, pulumi.IgnoreChanges([]string{"*"}))}
		}, `ignores changes of "*"`},
		"in a transform that the engine calls later": {func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: append(r.Opts, pulumi.Transforms([]pulumi.ResourceTransform{nil}))}
		}, "has transforms of its own"},
	} {
		t.Run(name, func(t *testing.T) {
			args := small("acme")
			args.Transformations = []pulumi.ResourceTransformation{test.change}
			r, err := declared(t, func(ctx *pulumi.Context) error {
				_, err := NewServer(ctx, "acme", args)
				return err
			})
			require.ErrorContains(t, err, test.says)
			assert.Empty(t, r.resources)
		})
	}
}

func TestClientTypes_AreExactlyThoseThatAreDeclared(t *testing.T) {
	declared := map[string]bool{}
	for _, config := range examples {
		g, err := graph(t, config)
		require.NoError(t, err)
		for _, r := range g {
			declared[r.Type] = true
		}
	}
	for _, token := range policy.Client.Types {
		assert.True(t, declared[token], "%s is on the allow list, but no example declares it; remove it, or add it to an example", token)
		delete(declared, token)
	}
	assert.Empty(t, declared, "declared, but not on the allow list")
}
