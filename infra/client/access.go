package client

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newAccess lets in exactly the configured developers. The binding is
// authoritative: a grant made by hand is gone after the next update. It is on
// this service alone; on the project it would open every client's server.
func newAccess(ctx *pulumi.Context, cfg Config, service *cloudrunv2.Service) (*cloudrunv2.ServiceIamBinding, error) {
	return cloudrunv2.NewServiceIamBinding(ctx, "developers", &cloudrunv2.ServiceIamBindingArgs{
		Project:  pulumi.String(cfg.Project),
		Location: pulumi.String(cfg.Region),
		Name:     service.Name,
		Role:     pulumi.String("roles/run.invoker"),
		Members:  pulumi.ToStringArray(cfg.Developers),
	})
}
