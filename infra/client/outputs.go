package client

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// export gives the stack's outputs: what an operator reads and a script asks for.
func export(ctx *pulumi.Context, cfg Config, service *cloudrunv2.Service, image pulumi.StringInput, access *cloudrunv2.ServiceIamBinding) {
	ctx.Export("url", service.Uri)
	ctx.Export("service", service.ID())
	ctx.Export("image", image)
	ctx.Export("developers", access.Members)
	// What a developer types to connect, once.
	ctx.Export("connect", pulumi.StringArray{
		pulumi.String("gcloud auth application-default login"),
		pulumi.Sprintf("berth-proxy %s=%s", cfg.Client, service.Uri),
	})
}
