package provider

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/cloudrunv2"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
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
		// A service named in full says where it is.
		presume: func(inputs resource.PropertyMap) {
			parts, err := parseID(text(inputs, "name"), runServiceID)
			if err != nil {
				return
			}
			for _, key := range []resource.PropertyKey{"project", "location"} {
				if _, given := inputs[key]; !given {
					inputs[key] = parts[key]
				}
			}
		},
		api: &iamBindingAPI{endpoint: runEndpoint, resource: runServiceID, named: "name"},
	}
}
