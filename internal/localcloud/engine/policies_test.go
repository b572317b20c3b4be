package engine_test

import (
	"testing"

	"github.com/berth-mcp/berth/infra/client"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The plan does not have what these programs do: the engine's own view of each resource
// stops them.
func TestPolicies_HoldForWhatReachesTheEngine(t *testing.T) {
	const acme = "projects/" + enginetest.Project + "/locations/europe-west1/services/berth-acme"
	cloud, dir := enginetest.StartCloud(t), t.TempDir()
	config := map[string]any{"berth:client": "acme", "berth:build": enginetest.Teller(t), "berth:data": map[string]any{"enabled": true, "protect": false}}
	run := func(t *testing.T, program func(*pulumi.Context, *client.ServerArgs) error) (preview, update error) {
		t.Helper()
		stack := enginetest.ProgramWith(t, cloud, dir, config, nil, func(ctx *pulumi.Context, _ pulumi.ResourceOption) error {
			args, err := client.Load(ctx)
			if err != nil {
				return err
			}
			return program(ctx, args)
		})
		_, preview = stack.Preview(t.Context(), optpreview.SuppressProgress())
		_, update = stack.Up(t.Context(), optup.SuppressProgress())
		return preview, update
	}
	letIn := func(r *pulumi.ResourceTransformationArgs, members pulumi.StringArrayInput) *pulumi.ResourceTransformationResult {
		if binding, ok := r.Props.(*cloudrunv2.ServiceIamBindingArgs); ok {
			binding.Members = members
		}
		return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
	}
	everyone := pulumi.StringArray{pulumi.String("allUsers")}

	for name, test := range map[string]struct {
		program func(*pulumi.Context, *client.ServerArgs) error
		says    string
	}{
		"a transformation that acts only once the plan is checked": {program: func(ctx *pulumi.Context, args *client.ServerArgs) error {
			planned := false
			args.Transformations = append(args.Transformations, func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				if _, ok := r.Props.(*cloudrunv2.ServiceIamBindingArgs); ok && !planned {
					planned = true
					return nil
				}
				return letIn(r, everyone)
			})
			_, err := client.NewServer(ctx, "berth", args)
			return err
		}, says: "lets in allusers"},
		"a transformation of the stack": {program: func(ctx *pulumi.Context, args *client.ServerArgs) error {
			if err := ctx.RegisterStackTransformation(func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				return letIn(r, everyone)
			}); err != nil {
				return err
			}
			_, err := client.NewServer(ctx, "berth", args)
			return err
		}, says: "lets in allusers"},
		"a transformation among the options of the server": {program: func(ctx *pulumi.Context, args *client.ServerArgs) error {
			_, err := client.NewServer(ctx, "berth", args, pulumi.Transformations([]pulumi.ResourceTransformation{
				func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
					if service, ok := r.Props.(*cloudrunv2.ServiceArgs); ok {
						service.InvokerIamDisabled = pulumi.Bool(true)
						return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
					}
					return nil
				}}))
			return err
		}, says: "invokerIamDisabled is not false"},
		"a transformation that changes the account once the plan is checked": {program: func(ctx *pulumi.Context, args *client.ServerArgs) error {
			planned := false
			args.Transformations = append(args.Transformations, func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				service, ok := r.Props.(*cloudrunv2.ServiceArgs)
				if !ok {
					return nil
				}
				if template, ok := service.Template.(*cloudrunv2.ServiceTemplateArgs); ok && planned {
					template.ServiceAccount = pulumi.String("owner@" + enginetest.Project + ".iam.gserviceaccount.com")
				}
				planned = true
				return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
			})
			_, err := client.NewServer(ctx, "berth", args)
			return err
		}, says: `runs as "owner@` + enginetest.Project + `.iam.gserviceaccount.com"`},
		"a value that another resource computes": {program: func(ctx *pulumi.Context, args *client.ServerArgs) error {
			account, err := serviceaccount.NewAccount(ctx, "another", &serviceaccount.AccountArgs{AccountId: pulumi.String("another")})
			if err != nil {
				return err
			}
			args.Transformations = append(args.Transformations, func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				return letIn(r, account.Email.ApplyT(func(string) []string { return []string{"allUsers"} }).(pulumi.StringArrayOutput))
			})
			_, err = client.NewServer(ctx, "berth", args)
			return err
		}, says: "lets in allusers"},
		"a resource that is declared under the server": {program: func(ctx *pulumi.Context, args *client.ServerArgs) error {
			server, err := client.NewServer(ctx, "berth", args)
			if err != nil {
				return err
			}
			_, err = storage.NewBucketACL(ctx, "open", &storage.BucketACLArgs{Bucket: server.Bucket, PredefinedAcl: pulumi.String("publicRead")}, pulumi.Parent(server))
			return err
		}, says: "open (gcp:storage/bucketACL:BucketACL): is of a type that is not on the allow list"},
	} {
		t.Run(name, func(t *testing.T) {
			preview, update := run(t, test.program)
			require.ErrorContains(t, preview, test.says)
			require.ErrorContains(t, update, test.says)
			assert.NotContains(t, cloud.Invokers(acme), "allUsers")
		})
	}

	preview, update := run(t, func(ctx *pulumi.Context, args *client.ServerArgs) error {
		args.Transformations = append(args.Transformations, func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			return letIn(r, pulumi.StringArray{pulumi.String("user:" + enginetest.Ada)})
		})
		_, err := client.NewServer(ctx, "berth", args)
		return err
	})
	require.NoError(t, preview)
	require.NoError(t, update)
	assert.Equal(t, []string{"user:" + enginetest.Ada}, cloud.Invokers(acme))
}
