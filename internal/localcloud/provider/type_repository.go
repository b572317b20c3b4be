package provider

import (
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/artifactregistry"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

func repositoryType() *resourceType {
	return &resourceType{
		token:     "gcp:artifactregistry/repository:Repository",
		inputs:    inputSchema(artifactregistry.RepositoryArgs{}),
		outputs:   outputSchema(artifactregistry.Repository{}),
		traits:    repositoryTraits,
		labelled:  true,
		fixedName: "repositoryId",
		complete: func(props resource.PropertyMap) {
			// The API's name is the full one; the plugin shows its last part.
			if id := text(props, "repositoryId"); id != "" {
				setText(props, "name", id)
			}
		},
		api: &restAPI{
			endpoint:    artifactRegistryEndpoint,
			idOf:        "projects/{project}/locations/{location}/repositories/{repositoryId}",
			shortIDs:    []string{"{project}/{location}/{repositoryId}"},
			collection:  "projects/{project}/locations/{location}/repositories?repository_id={repositoryId}",
			maskInQuery: true,
			longCreate:  true, longDelete: true,
		},
	}
}

var repositoryTraits = traits{
	"project":      {place: inPath, replace: true, config: project},
	"location":     {place: inPath, replace: true, config: region},
	"repositoryId": {place: inPath, replace: true},
	"format": {replace: true, same: strings.EqualFold, oneOf: []string{
		"DOCKER", "MAVEN", "NPM", "APT", "YUM", "PYTHON", "GO", "KFP", "GENERIC", "GOOGET", "RUBY"}},
	"kmsKeyName": {replace: true},
	"mode": {replace: true, fallback: "STANDARD_REPOSITORY", oneOf: []string{
		"STANDARD_REPOSITORY", "VIRTUAL_REPOSITORY", "REMOTE_REPOSITORY"}},
	"mavenConfig": {replace: true},
	"mavenConfig.versionPolicy": {fallback: "VERSION_POLICY_UNSPECIFIED", oneOf: []string{
		"VERSION_POLICY_UNSPECIFIED", "RELEASE", "SNAPSHOT"}},
	"remoteRepositoryConfig.description": {replace: true},

	"cleanupPolicies":                       {form: mapByKey, set: true, key: "id"},
	"cleanupPolicies[].action":              {oneOf: []string{"DELETE", "KEEP"}},
	"cleanupPolicies[].condition.newerThan": {same: sameDuration},
	"cleanupPolicies[].condition.olderThan": {same: sameDuration},
	"cleanupPolicies[].condition.tagState": {fallback: "ANY", same: strings.EqualFold, oneOf: []string{
		"TAGGED", "UNTAGGED", "ANY"}},

	"virtualRepositoryConfig.upstreamPolicies":          {set: true, key: "id"},
	"vulnerabilityScanningConfig":                       {computed: true},
	"vulnerabilityScanningConfig.enablementState":       {computed: true},
	"vulnerabilityScanningConfig.enablementStateReason": {computed: true},
	"vulnerabilityScanningConfig.enablementConfig":      {oneOf: []string{"INHERITED", "DISABLED"}},
}
