package client

import "github.com/berth-mcp/berth/infra/setting"

// none is the default of an object that holds nothing until the operator says so.
var none = map[string]any{}

// Keys are all settings of a client stack, in the order in which a person
// would think of them.
var Keys = []setting.Key{
	setting.Kind,
	{Name: "client", Type: "string", Default: "", Description: "Name of the client company's server: a-z, 0-9 and hyphens, at most 24 characters. Empty means the stack's name."},
	{Name: "labels", Type: "object", Default: none, Description: "Labels of everything that takes them, such as owner and cost-center, by Google's rules. client and managed-by are always there."},

	{Name: "developers", Type: "array", Default: []string{}, Description: "Who may call the server: group:ADDRESS (best), user:ADDRESS, serviceAccount:ADDRESS or domain:DOMAIN. Nobody else can. Required, unless the stack owns the group."},
	{Name: "group", Type: "object", Default: none, Fields: groupKeys, Description: "A Google group that the stack owns, with its members, who may all call the server."},
	{Name: "viewer", Type: "boolean", Default: false, Description: "Give the developers roles/run.viewer on the service too, so that the service's URL can be looked up by its name."},
	{Name: "suspend", Type: "boolean", Default: false, Description: "Let nobody call, and run no instance. Everything else stays."},

	{Name: "build", Type: "string", Default: "./server", Description: "Go main package to build the server from: a directory relative to the project, or an import path."},
	{Name: "base", Type: "string", Default: "", Description: "Base image of the build, by digest: HOST/PATH@sha256:DIGEST. Empty means an empty one, which a static binary does not miss."},
	{Name: "platforms", Type: "array", Default: []string{"linux/amd64"}, Description: "Platforms to build the image for, as os/arch. Cloud Run runs linux/amd64."},
	{Name: "repository", Type: "string", Default: "", Description: "An existing Artifact Registry repository to push to: projects/PROJECT/locations/LOCATION/repositories/NAME. Empty means one of the client's own."},
	{Name: "keepImages", Type: "integer", Default: 10, Description: "Built images that the client's own repository keeps, the newest: 1 to 100. Older ones are deleted after a day."},
	{Name: "registryHost", Type: "string", Default: "", Description: "Host of the Artifact Registry. Empty means LOCATION-docker.pkg.dev."},
	{Name: "image", Type: "string", Default: "", Description: "A prebuilt image to deploy instead of building one, by digest: HOST/PATH@sha256:DIGEST. Tags are refused."},
	{Name: "port", Type: "integer", Default: 8080, Description: "Port that the container listens on; it is told in PORT."},
	{Name: "command", Type: "array", Default: []string{}, Description: "Entrypoint, instead of the image's."},
	{Name: "args", Type: "array", Default: []string{}, Description: "Arguments, instead of the image's."},

	{Name: "cpu", Type: "string", Default: "1", Description: "CPU limit of the server in an instance: 1, 2, 4, 6 or 8, or a part of one from 0.08, like 0.5 or 500m."},
	{Name: "memory", Type: "string", Default: "512Mi", Description: "Memory limit of the server in an instance: 128Mi to 32Gi."},
	{Name: "cpuIdle", Type: "boolean", Default: true, Description: "Give an instance CPU only while it serves a request, and pay for no more."},
	{Name: "startupCpuBoost", Type: "boolean", Default: true, Description: "Give a starting instance more CPU."},
	{Name: "concurrency", Type: "integer", Default: 80, Description: "Requests that one instance serves at once: 1 to 1000. Each open stream counts as one."},
	{Name: "minInstances", Type: "integer", Default: 0, Description: "Instances kept warm: 0 scales to zero, and an idle client costs nothing."},
	{Name: "maxInstances", Type: "integer", Default: 3, Description: "Instances at the most: 1 to 100."},
	{Name: "requestTimeout", Type: "integer", Default: 3600, Description: "Seconds that a request, and so a stream, may last: 1 to 3600."},
	{Name: "sessionAffinity", Type: "boolean", Default: true, Description: "Send a caller to the same instance, as far as possible: older editors' sessions live in one."},
	{Name: "executionEnvironment", Type: "string", Default: "", Description: "Sandbox of the container: gen1 or gen2. Empty means Cloud Run's choice."},
	{Name: "startupProbe", Type: "object", Default: map[string]any{"type": "tcp", "period": 1, "timeout": 1, "failures": 60}, Fields: probeKeys("tcp", 1, 1, 60), Description: "How Cloud Run finds out that the server has started."},
	{Name: "livenessProbe", Type: "object", Default: map[string]any{"period": 10, "timeout": 1, "failures": 3}, Fields: probeKeys("", 10, 1, 3), Description: "How Cloud Run finds out that the server is to be restarted."},
	{Name: "environment", Type: "object", Default: none, Description: "The server's variables, by name. Whoever may view the service can read them: a secret belongs in secrets."},
	{Name: "secrets", Type: "object", Default: none, Entries: true, Fields: secretKeys, Description: "What only this client's server may read, by the name of its variable: a secret that exists in Secret Manager, or a value that becomes one of this stack's."},
	{Name: "sidecars", Type: "object", Default: none, Entries: true, Fields: sidecarKeys, Description: "Containers beside the server in each instance, such as an agent that reaches it on localhost."},

	{Name: "ingress", Type: "string", Default: "all", Description: "From where the service can be reached at all: all, internal or internal-and-cloud-load-balancing."},
	{Name: "audiences", Type: "array", Default: []string{}, Description: "Audiences that a caller's token may have besides the service's URL."},
	{Name: "network", Type: "object", Default: map[string]any{"egress": "private-ranges-only"}, Fields: networkKeys, Description: "The VPC network that the server reaches, directly and without a connector."},
	{Name: "kmsKey", Type: "string", Default: "", Description: "Key that encrypts the client's image, service, secrets and data: projects/P/locations/L/keyRings/R/cryptoKeys/K, in the stack's region. Google's service agents must be allowed to use it. Empty means Google's own keys."},
	{Name: "binaryAuthorization", Type: "string", Default: "", Description: "Who says which images may run: default, which is the project's policy, or projects/P/platforms/cloudRun/policies/NAME. Empty means nobody is asked."},
	{Name: "deletionProtection", Type: "boolean", Default: false, Description: "Refuse to destroy the stack, and to move or rename the client, before anything is changed, until this is false again in an update of its own. Google refuses to delete the service, too."},

	{Name: "data", Type: "object", Default: map[string]any{"versioning": true, "oldVersionDays": 30, "softDeleteDays": 7, "protect": true}, Fields: dataKeys, Description: "A bucket of the client's own, which the server finds in BERTH_DATA as gs://BUCKET."},
	{Name: "monitoring", Type: "object", Default: map[string]any{"dashboard": true, "errors": 5, "refused": 20, "latency": 5000, "startFailures": 1, "atMaximum": 300}, Fields: monitoringKeys, Description: "Alerts and a dashboard."},
}

var groupKeys = []setting.Key{
	{Name: "email", Type: "string", Default: "", Description: "Address of the group. Empty means that the stack owns none."},
	{Name: "customer", Type: "string", Default: "", Description: "Id of the Google Workspace or Cloud Identity account, like C01abc234: `gcloud organizations list` shows it."},
	{Name: "members", Type: "array", Default: []string{}, Description: "Addresses of the people, groups and service accounts in it."},
}

func probeKeys(kind string, period, timeout, failures int) []setting.Key {
	return []setting.Key{
		{Name: "type", Type: "string", Default: kind, Description: "http, grpc or tcp. Empty means no probe."},
		{Name: "path", Type: "string", Default: "/", Description: "Path that http asks for; 200 to 399 is well."},
		{Name: "service", Type: "string", Default: "", Description: "Service that grpc asks about."},
		{Name: "port", Type: "integer", Default: 0, Description: "Port asked; 0 means the container's own."},
		{Name: "initialDelay", Type: "integer", Default: 0, Description: "Seconds before the first time: 0 to 240."},
		{Name: "period", Type: "integer", Default: period, Description: "Seconds from one time to the next: 1 to 240."},
		{Name: "timeout", Type: "integer", Default: timeout, Description: "Seconds to answer: 1 to the period."},
		{Name: "failures", Type: "integer", Default: failures, Description: "Failures in a row that mean it."},
	}
}

var secretKeys = []setting.Key{
	{Name: "secret", Type: "string", Default: "", Description: "Id of a secret in the project, or projects/PROJECT/secrets/ID."},
	{Name: "version", Type: "string", Default: "", Description: "Its version, a number: a new one is deployed by writing it here."},
	{Name: "value", Type: "string", Default: "", Description: "Value of a secret that this stack owns: `pulumi config set --secret --path 'berth:secrets.NAME.value'`."},
	{Name: "file", Type: "string", Default: "", Description: "Absolute path of a file that holds it, in a directory of its own. Empty means a variable."},
}

var sidecarKeys = []setting.Key{
	{Name: "image", Type: "string", Default: "", Description: "Its image, by digest. Required."},
	{Name: "command", Type: "array", Default: []string{}, Description: "Entrypoint, instead of the image's."},
	{Name: "args", Type: "array", Default: []string{}, Description: "Arguments, instead of the image's."},
	{Name: "cpu", Type: "string", Default: "1", Description: "Its CPU limit."},
	{Name: "memory", Type: "string", Default: "512Mi", Description: "Its memory limit."},
	{Name: "environment", Type: "object", Default: none, Description: "Its variables, by name."},
	{Name: "secrets", Type: "array", Default: []string{}, Description: "Those of the secrets that it gets too."},
	{Name: "startupProbe", Type: "object", Default: none, Fields: probeKeys("", 10, 1, 3), Description: "How Cloud Run finds out that it has started; the port must be given."},
	{Name: "first", Type: "boolean", Default: false, Description: "Start the server only once this one's startup probe holds."},
}

var networkKeys = []setting.Key{
	{Name: "network", Type: "string", Default: "", Description: "Name of the network, or its path in another project."},
	{Name: "subnetwork", Type: "string", Default: "", Description: "Name of the subnetwork, in the stack's region."},
	{Name: "tags", Type: "array", Default: []string{}, Description: "Network tags of the instances."},
	{Name: "egress", Type: "string", Default: "private-ranges-only", Description: "What goes there: private-ranges-only or all-traffic."},
}

var dataKeys = []setting.Key{
	{Name: "enabled", Type: "boolean", Default: false, Description: "Have the bucket."},
	{Name: "bucket", Type: "string", Default: "", Description: "Its name, which nobody else in the world may have. Empty means PROJECT-berth-CLIENT."},
	{Name: "versioning", Type: "boolean", Default: true, Description: "Keep what is overwritten or deleted."},
	{Name: "oldVersionDays", Type: "integer", Default: 30, Description: "Days that it is kept: 1 to 3650."},
	{Name: "softDeleteDays", Type: "integer", Default: 7, Description: "Days in which even a deleted version can be restored: 7 to 90, or 0."},
	{Name: "retentionDays", Type: "integer", Default: 0, Description: "Days in which nothing can be deleted or overwritten: 0 to 3650. Only without versioning. The policy is not locked."},
	{Name: "protect", Type: "boolean", Default: true, Description: "Refuse to destroy the stack, and to move or rename the client, before anything is changed. With false, after an update of its own, a destroy deletes the data too."},
}

var monitoringKeys = []setting.Key{
	{Name: "enabled", Type: "boolean", Default: false, Description: "Have the alerts, and the metrics that they need."},
	{Name: "dashboard", Type: "boolean", Default: true, Description: "Have the dashboard too."},
	{Name: "channels", Type: "array", Default: []string{}, Description: "Notification channels that are told: projects/P/notificationChannels/N. None means that incidents are in the console alone."},
	{Name: "errors", Type: "integer", Default: 5, Description: "Answers of 5xx within 5 minutes that are too many; 0 means no alert."},
	{Name: "refused", Type: "integer", Default: 20, Description: "Refused calls (401, 403) within 5 minutes that are too many; 0 means no alert."},
	{Name: "latency", Type: "integer", Default: 5000, Description: "Milliseconds that 95 of 100 tool calls within 5 minutes must keep to; 0 means no alert."},
	{Name: "startFailures", Type: "integer", Default: 1, Description: "Failed starts within 5 minutes that are too many; 0 means no alert."},
	{Name: "atMaximum", Type: "integer", Default: 300, Description: "Seconds at maxInstances that are too long, in whole minutes; 0 means no alert."},
}
