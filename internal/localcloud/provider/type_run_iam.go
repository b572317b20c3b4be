package provider

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
)

func runServiceIAMBindingType() *resourceType {
	return &resourceType{
		token:   "gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding",
		inputs:  inputSchema(cloudrunv2.ServiceIamBindingArgs{}),
		outputs: outputSchema(cloudrunv2.ServiceIamBinding{}),
		traits: bindingTraits(traits{
			"project":  {place: inPath, replace: true, config: project},
			"location": {place: inPath, replace: true, config: region},
			"name":     {place: inPath, replace: true, required: true, same: sameName},
		}),
		presume: presumeFrom("name", runServiceID),
		api:     &iamBindingAPI{endpoint: runEndpoint, resource: runServiceID, named: "name"},
	}
}
