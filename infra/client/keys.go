package client

// Key is one setting of a client stack, as Pulumi.yaml declares it in the
// namespace "berth". Pulumi.yaml and this table say the same; a test holds them
// together.
type Key struct {
	Name        string
	Type        string // Pulumi's: string, integer, boolean or array (of strings)
	Default     any
	Description string
}

// Keys are all settings of a client stack, in the order in which a person
// would think of them.
var Keys = []Key{
	{"client", "string", "", "Name of the client company's server: a-z, 0-9 and hyphens, at most 24 characters. Empty means the stack's name."},
	{"developers", "array", []string{}, "Who may call the server: group:ADDRESS (best), user:ADDRESS, serviceAccount:ADDRESS or domain:DOMAIN. Nobody else can. Required."},
	{"build", "string", "./server", "Go main package to build the server from: a directory relative to the project, or an import path."},
	{"image", "string", "", "A prebuilt image to deploy instead of building one, by digest: HOST/PATH@sha256:DIGEST. Tags are refused."},
	{"platforms", "array", []string{"linux/amd64"}, "Platforms to build the image for, as os/arch. Cloud Run runs linux/amd64."},
	{"registryHost", "string", "", "Host of the Artifact Registry. Empty means REGION-docker.pkg.dev."},
	{"cpu", "string", "1", "CPU limit of an instance: 1, 2, 4, 6 or 8, or a part of one from 0.08, like 0.5 or 500m."},
	{"memory", "string", "512Mi", "Memory limit of an instance: 128Mi to 32Gi."},
	{"concurrency", "integer", 80, "Requests that one instance serves at once: 1 to 1000. Each open stream counts as one."},
	{"minInstances", "integer", 0, "Instances kept warm: 0 scales to zero, and an idle client costs nothing."},
	{"maxInstances", "integer", 3, "Instances at the most: 1 to 100."},
	{"requestTimeout", "integer", 3600, "Seconds that a request, and so a stream, may last: 1 to 3600."},
	{"deletionProtection", "boolean", false, "Refuse to delete the Cloud Run service until this is false again in an update of its own."},
}
