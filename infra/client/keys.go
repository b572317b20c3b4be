package client

import "github.com/berth-mcp/berth/infra/setting"

// Keys are all settings of a client stack, in the order in which a person
// would think of them.
var Keys = []setting.Key{
	setting.Kind,
	{Name: "client", Type: "string", Default: "", Description: "Name of the client company's server: a-z, 0-9 and hyphens, at most 24 characters. Empty means the stack's name."},
	{Name: "developers", Type: "array", Default: []string{}, Description: "Who may call the server: group:ADDRESS (best), user:ADDRESS, serviceAccount:ADDRESS or domain:DOMAIN. Nobody else can. Required."},
	{Name: "build", Type: "string", Default: "./server", Description: "Go main package to build the server from: a directory relative to the project, or an import path."},
	{Name: "image", Type: "string", Default: "", Description: "A prebuilt image to deploy instead of building one, by digest: HOST/PATH@sha256:DIGEST. Tags are refused."},
	{Name: "platforms", Type: "array", Default: []string{"linux/amd64"}, Description: "Platforms to build the image for, as os/arch. Cloud Run runs linux/amd64."},
	{Name: "registryHost", Type: "string", Default: "", Description: "Host of the Artifact Registry. Empty means REGION-docker.pkg.dev."},
	{Name: "cpu", Type: "string", Default: "1", Description: "CPU limit of an instance: 1, 2, 4, 6 or 8, or a part of one from 0.08, like 0.5 or 500m."},
	{Name: "memory", Type: "string", Default: "512Mi", Description: "Memory limit of an instance: 128Mi to 32Gi."},
	{Name: "concurrency", Type: "integer", Default: 80, Description: "Requests that one instance serves at once: 1 to 1000. Each open stream counts as one."},
	{Name: "minInstances", Type: "integer", Default: 0, Description: "Instances kept warm: 0 scales to zero, and an idle client costs nothing."},
	{Name: "maxInstances", Type: "integer", Default: 3, Description: "Instances at the most: 1 to 100."},
	{Name: "requestTimeout", Type: "integer", Default: 3600, Description: "Seconds that a request, and so a stream, may last: 1 to 3600."},
	{Name: "deletionProtection", Type: "boolean", Default: false, Description: "Refuse to delete the Cloud Run service until this is false again in an update of its own."},
}
