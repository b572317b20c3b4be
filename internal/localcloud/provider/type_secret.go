package provider

import (
	"errors"
	"regexp"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/secretmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const secretID = "projects/{project}/secrets/{secretId}"

func secretType() *resourceType {
	return &resourceType{
		token:     "gcp:secretmanager/secret:Secret",
		inputs:    inputSchema(secretmanager.SecretArgs{}),
		outputs:   outputSchema(secretmanager.Secret{}),
		traits:    secretTraits,
		labelled:  true,
		annotated: true,
		fixedName: "secretId",
		undeletable: func(state resource.PropertyMap) error {
			if !isTrue(state, "deletionProtection") {
				return nil
			}
			return errors.New("cannot destroy secret without setting deletionProtection=false and running `pulumi up`")
		},
		api: &restAPI{
			endpoint:    secretManagerEndpoint,
			idOf:        secretID,
			shortIDs:    []string{"{project}/{secretId}", "{secretId}"},
			collection:  "projects/{project}/secrets?secretId={secretId}",
			maskInQuery: true,
		},
	}
}

// secretTraits follows the plugin's schema of google_secret_manager_secret.
var secretTraits = traits{
	"project": {place: inPath, replace: true, config: project},
	"secretId": {place: inPath, replace: true,
		match: regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`), says: "expected 1 to 255 letters, digits, hyphens and underscores"},
	"deletionProtection": {place: inState, fallback: false},
	"expireTime":         {computed: true},
	"replication":        {replace: true},
	"replication.auto":   {apiName: "automatic", keepEmpty: true},
	"tags":               {replace: true},
	"versionDestroyTtl":  {same: sameDuration},
}

func secretIAMBindingType() *resourceType {
	return &resourceType{
		token:   "gcp:secretmanager/secretIamBinding:SecretIamBinding",
		inputs:  inputSchema(secretmanager.SecretIamBindingArgs{}),
		outputs: outputSchema(secretmanager.SecretIamBinding{}),
		traits:  bindingTraits(secretGrantTraits),
		presume: presumeFrom("secretId", secretID),
		api:     &secretPolicy,
	}
}

func secretIAMMemberType() *resourceType {
	return &resourceType{
		token:   "gcp:secretmanager/secretIamMember:SecretIamMember",
		inputs:  inputSchema(secretmanager.SecretIamMemberArgs{}),
		outputs: outputSchema(secretmanager.SecretIamMember{}),
		traits:  memberTraits(secretGrantTraits),
		presume: presumeFrom("secretId", secretID),
		api:     &iamMemberAPI{secretPolicy},
	}
}

var secretPolicy = iamBindingAPI{endpoint: secretManagerEndpoint, resource: secretID, named: "secretId"}

var secretGrantTraits = traits{
	"project":  {place: inPath, replace: true, config: project},
	"secretId": {place: inPath, replace: true, required: true, same: sameName},
}
