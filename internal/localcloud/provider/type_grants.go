package provider

import (
	"regexp"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/kms"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/projects"
)

const repositoryID = "projects/{project}/locations/{location}/repositories/{repository}"

func repositoryIAMMemberType() *resourceType {
	return &resourceType{
		token:   "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember",
		inputs:  inputSchema(artifactregistry.RepositoryIamMemberArgs{}),
		outputs: outputSchema(artifactregistry.RepositoryIamMember{}),
		traits: memberTraits(traits{
			"project":    {place: inPath, replace: true, config: project},
			"location":   {place: inPath, replace: true, config: region},
			"repository": {place: inPath, replace: true, required: true, same: sameName},
		}),
		presume: presumeFrom("repository", repositoryID),
		api:     &iamMemberAPI{iamBindingAPI{endpoint: artifactRegistryEndpoint, resource: repositoryID, named: "repository"}},
	}
}

func keyIAMMemberType() *resourceType {
	return &resourceType{
		token:   "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember",
		inputs:  inputSchema(kms.CryptoKeyIAMMemberArgs{}),
		outputs: outputSchema(kms.CryptoKeyIAMMember{}),
		traits: memberTraits(traits{
			"cryptoKeyId": {place: inPath, replace: true, required: true,
				match: regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`),
				says:  "expected projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"},
		}),
		api: &iamMemberAPI{iamBindingAPI{endpoint: kmsEndpoint, resource: "{+cryptoKeyId}", named: "cryptoKeyId"}},
	}
}

var projectPolicy = iamBindingAPI{endpoint: resourceManagerEndpoint, resource: "{project}", named: "project", ofProject: true}

func projectIAMMemberType() *resourceType {
	return &resourceType{
		token:   "gcp:projects/iAMMember:IAMMember",
		inputs:  inputSchema(projects.IAMMemberArgs{}),
		outputs: outputSchema(projects.IAMMember{}),
		traits:  memberTraits(traits{"project": {place: inPath, replace: true, same: sameName}}),
		api:     &iamMemberAPI{projectPolicy},
	}
}
