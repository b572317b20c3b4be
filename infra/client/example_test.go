package client_test

import (
	"github.com/berth-mcp/berth/infra/client"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// A program of one's own declares a server beside whatever else it declares, and
// changes what has no argument through a transformation.
func ExampleNewServer() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		args := client.Defaults()
		args.Client = "acme"
		args.Project = "my-project"
		args.Region = "europe-west1"
		args.Developers = []string{"group:acme-developers@example.com"}
		args.Build.Package = "example.com/acme/mcp-server"
		args.Transformations = []pulumi.ResourceTransformation{
			func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
				if service, ok := r.Props.(*cloudrunv2.ServiceArgs); ok {
					service.DefaultUriDisabled = pulumi.Bool(true)
				}
				return &pulumi.ResourceTransformationResult{Props: r.Props, Opts: r.Opts}
			},
		}
		server, err := client.NewServer(ctx, "acme", args)
		if err != nil {
			return err
		}
		ctx.Export("url", server.URL)
		return nil
	})
}
