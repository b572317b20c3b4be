package client

import (
	"fmt"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// port that the container listens on: Cloud Run's default.
const port = 8080

// newService is the Cloud Run service. What Cloud Run would compute is written
// down all the same: a computed value stays as it is when its key is dropped
// from the configuration.
func newService(ctx *pulumi.Context, cfg Config, image pulumi.StringInput, account *serviceaccount.Account, apis apiSet) (*cloudrunv2.Service, error) {
	return cloudrunv2.NewService(ctx, "server", &cloudrunv2.ServiceArgs{
		Project:            pulumi.String(cfg.Project),
		Location:           pulumi.String(cfg.Region),
		Name:               pulumi.String(cfg.name()),
		Description:        pulumi.String("MCP server of " + cfg.Client),
		Labels:             pulumi.StringMap{"client": pulumi.String(cfg.Client), "managed-by": pulumi.String("berth")},
		Ingress:            pulumi.String("INGRESS_TRAFFIC_ALL"),
		InvokerIamDisabled: pulumi.Bool(false), // true would open the server to the internet
		DeletionProtection: pulumi.Bool(cfg.DeletionProtection),
		Template: &cloudrunv2.ServiceTemplateArgs{
			ServiceAccount:                account.Email,
			MaxInstanceRequestConcurrency: pulumi.Int(cfg.Concurrency),
			Timeout:                       pulumi.String(fmt.Sprintf("%ds", int(cfg.RequestTimeout.Seconds()))),
			Scaling: &cloudrunv2.ServiceTemplateScalingArgs{
				MinInstanceCount: pulumi.Int(cfg.MinInstances),
				MaxInstanceCount: pulumi.Int(cfg.MaxInstances),
			},
			Containers: cloudrunv2.ServiceTemplateContainerArray{container(cfg, image)},
		},
	},
		apis.needs("run"),
		// gcloud and the console leave their names there.
		pulumi.IgnoreChanges([]string{"client", "clientVersion"}),
	)
}

func container(cfg Config, image pulumi.StringInput) cloudrunv2.ServiceTemplateContainerArgs {
	return cloudrunv2.ServiceTemplateContainerArgs{
		Image: image,
		Ports: cloudrunv2.ServiceTemplateContainerPortsArgs{
			Name:          pulumi.String("http1"),
			ContainerPort: pulumi.Int(port),
		},
		// Sorted by name: the API keeps the order, and another order is a change.
		Envs: cloudrunv2.ServiceTemplateContainerEnvArray{
			env("BERTH_CLIENT", cfg.Client),
			env("BERTH_IDENTITY", "cloudrun"),
			env("GOOGLE_CLOUD_PROJECT", cfg.Project), // ties log records to their traces
		},
		Resources: cloudrunv2.ServiceTemplateContainerResourcesArgs{
			Limits:          pulumi.StringMap{"cpu": pulumi.String(cfg.CPU), "memory": pulumi.String(cfg.Memory)},
			CpuIdle:         pulumi.Bool(true),
			StartupCpuBoost: pulumi.Bool(true),
		},
		StartupProbe: cloudrunv2.ServiceTemplateContainerStartupProbeArgs{
			TimeoutSeconds:   pulumi.Int(1),
			PeriodSeconds:    pulumi.Int(1),
			FailureThreshold: pulumi.Int(60),
			TcpSocket:        cloudrunv2.ServiceTemplateContainerStartupProbeTcpSocketArgs{Port: pulumi.Int(port)},
		},
	}
}

func env(name, value string) cloudrunv2.ServiceTemplateContainerEnvArgs {
	return cloudrunv2.ServiceTemplateContainerEnvArgs{Name: pulumi.String(name), Value: pulumi.String(value)}
}
