package client

import (
	"fmt"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newService is the Cloud Run service. What Cloud Run would compute is written
// down all the same: a computed value stays as it is when its key is dropped
// from the configuration.
func (b *builder) newService(image pulumi.StringInput, secrets map[string]readable) (*cloudrunv2.Service, error) {
	a := b.args
	return cloudrunv2.NewService(b.Context, b.child("service"), &cloudrunv2.ServiceArgs{
		Project:             pulumi.String(a.Project),
		Location:            pulumi.String(a.Region),
		Name:                pulumi.String(a.name()),
		Description:         pulumi.String("MCP server of " + a.Client),
		Labels:              a.labels(),
		Ingress:             pulumi.String(ingresses[a.Ingress]),
		CustomAudiences:     list(a.Audiences),
		InvokerIamDisabled:  pulumi.Bool(false), // true would open the server to the internet
		DeletionProtection:  pulumi.Bool(a.DeletionProtection),
		BinaryAuthorization: a.binaryAuthorization(),
		Scaling:             a.serviceScaling(),
		Template: &cloudrunv2.ServiceTemplateArgs{
			ServiceAccount:                b.account.Email,
			MaxInstanceRequestConcurrency: pulumi.Int(a.Concurrency),
			Timeout:                       pulumi.String(fmt.Sprintf("%ds", int(a.RequestTimeout.Seconds()))),
			SessionAffinity:               pulumi.Bool(a.SessionAffinity),
			ExecutionEnvironment:          optional(environments[a.ExecutionEnvironment]),
			EncryptionKey:                 optional(a.KMSKey),
			VpcAccess:                     a.vpcAccess(),
			Volumes:                       volumes(secrets),
			Scaling: &cloudrunv2.ServiceTemplateScalingArgs{
				MinInstanceCount: pulumi.Int(a.MinInstances),
				MaxInstanceCount: pulumi.Int(a.MaxInstances),
			},
			Containers: a.containers(image, secrets),
		},
	}, b.options([]string{"run"},
		b.afterAll(), // it reads its secrets as it starts, too
		// gcloud and the console leave their names there.
		pulumi.IgnoreChanges([]string{"client", "clientVersion"}),
		pulumi.Protect(a.protected()),
	)...)
}

// The words of Cloud Run's API, by those of its command line.
var (
	ingresses = map[string]string{
		"all":                               "INGRESS_TRAFFIC_ALL",
		"internal":                          "INGRESS_TRAFFIC_INTERNAL_ONLY",
		"internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
	}
	environments = map[string]string{"": "", "gen1": "EXECUTION_ENVIRONMENT_GEN1", "gen2": "EXECUTION_ENVIRONMENT_GEN2"}
	egresses     = map[string]string{"private-ranges-only": "PRIVATE_RANGES_ONLY", "all-traffic": "ALL_TRAFFIC"}
)

// serviceScaling stops every instance of a suspended server: a change of access
// takes minutes to be felt, and an open stream would go on for an hour.
func (a *ServerArgs) serviceScaling() *cloudrunv2.ServiceScalingArgs {
	if a.Suspend {
		return &cloudrunv2.ServiceScalingArgs{ScalingMode: pulumi.String("MANUAL"), ManualInstanceCount: pulumi.Int(0)}
	}
	return &cloudrunv2.ServiceScalingArgs{ScalingMode: pulumi.String("AUTOMATIC")}
}

func (a *ServerArgs) binaryAuthorization() cloudrunv2.ServiceBinaryAuthorizationPtrInput {
	switch a.BinaryAuthorization {
	case "":
		return nil
	case "default":
		return &cloudrunv2.ServiceBinaryAuthorizationArgs{UseDefault: pulumi.Bool(true)}
	default:
		return &cloudrunv2.ServiceBinaryAuthorizationArgs{Policy: pulumi.String(a.BinaryAuthorization)}
	}
}

func (a *ServerArgs) vpcAccess() cloudrunv2.ServiceTemplateVpcAccessPtrInput {
	if !a.Network.used() {
		return nil
	}
	return &cloudrunv2.ServiceTemplateVpcAccessArgs{
		Egress: pulumi.String(egresses[a.Network.Egress]),
		NetworkInterfaces: cloudrunv2.ServiceTemplateVpcAccessNetworkInterfaceArray{
			&cloudrunv2.ServiceTemplateVpcAccessNetworkInterfaceArgs{
				Network:    optional(a.Network.Network),
				Subnetwork: optional(a.Network.Subnetwork),
				Tags:       list(a.Network.Tags),
			},
		},
	}
}
