package project

import "github.com/berth-mcp/berth/infra/setting"

// Keys are all settings of a project stack, in the order in which a person would
// think of them.
var Keys = []setting.Key{
	setting.Kind,
	{Name: "apis", Type: "array", Default: []string{
		"artifactregistry.googleapis.com", "cloudresourcemanager.googleapis.com", "iam.googleapis.com",
		"iamcredentials.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com",
		"run.googleapis.com", "secretmanager.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com",
	}, Description: "APIs to enable, besides those that the stack's own features need. They stay enabled when the stack goes."},
	{Name: "sharedRepository", Type: "object",
		Default:     map[string]any{"enabled": true, "name": "berth", "keep": 10, "deleteAfterDays": 90},
		Description: "A repository for images that more than one client deploys.",
		Fields: []setting.Key{
			{Name: "enabled", Type: "boolean", Default: true, Description: "Whether there is one."},
			{Name: "name", Type: "string", Default: "berth", Description: "Its name, in gcp:region."},
			{Name: "keep", Type: "integer", Default: 10, Description: "The newest versions of each image that are never deleted; 0 deletes nothing at all."},
			{Name: "deleteAfterDays", Type: "integer", Default: 90, Description: "The age at which all other versions are deleted, tagged or not."},
		}},
	{Name: "imageReaders", Type: "array", Default: []string{}, Description: "Other Google Cloud projects, by id or number, whose Cloud Run may pull from the shared repository."},
	{Name: "encryptionKeys", Type: "array", Default: []any{},
		Description: "Cloud KMS keys that Google's services in this project may encrypt with, and decrypt.",
		Fields: []setting.Key{
			{Name: "key", Type: "string", Description: "The key: projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY."},
			{Name: "agents", Type: "array", Description: "The services: artifactregistry, run, secretmanager, storage."},
		}},
	{Name: "auditLogs", Type: "array",
		Default:     []any{map[string]any{"service": "secretmanager.googleapis.com", "types": []string{"DATA_READ"}}},
		Description: "Access to data that Google logs; by default, reads of secrets. It replaces what the project has for that service, and goes with the stack; an empty list leaves all as it is.",
		Fields: []setting.Key{
			{Name: "service", Type: "string", Description: "An API, like secretmanager.googleapis.com, or allServices."},
			{Name: "types", Type: "array", Description: "Some of ADMIN_READ, DATA_READ, DATA_WRITE."},
		}},
	{Name: "logBucket", Type: "object",
		Default:     map[string]any{"enabled": false, "name": "berth", "retentionDays": 90, "filter": serversLogs},
		Description: "A log bucket in gcp:region that keeps logs longer than the 30 days of the project's default bucket.",
		Fields: []setting.Key{
			{Name: "enabled", Type: "boolean", Default: false, Description: "Whether there is one."},
			{Name: "name", Type: "string", Default: "berth", Description: "Its name, and its sink's. After the bucket is deleted the name is blocked for 7 days."},
			{Name: "retentionDays", Type: "integer", Default: 90, Description: "How long it keeps a log: 1 to 3650 days."},
			{Name: "filter", Type: "string", Default: serversLogs, Description: "What it keeps, in Cloud Logging's query language."},
		}},
	{Name: "sharedChannels", Type: "object", Default: map[string]any{}, Entries: true,
		Description: "Where alerts of all clients, and the budget's, may be sent. Each has either email or topic.",
		Fields: []setting.Key{
			{Name: "email", Type: "string", Default: "", Description: "An address; a group's is best."},
			{Name: "topic", Type: "string", Default: "", Description: "A Pub/Sub topic: projects/PROJECT/topics/TOPIC. Budgets do not use it."},
		}},
	{Name: "budget", Type: "object",
		Default:     map[string]any{"amount": 0, "currency": "", "billingAccount": "", "thresholds": []int{50, 90, 100}},
		Description: "A monthly budget for the project. It says when the cost nears the amount, and stops nothing.",
		Fields: []setting.Key{
			{Name: "amount", Type: "integer", Default: 0, Description: "Whole units of the currency; 0 means no budget."},
			{Name: "currency", Type: "string", Default: "", Description: "Like EUR. Empty means the billing account's, which it must be in any case."},
			{Name: "billingAccount", Type: "string", Default: "", Description: "The account that pays: 012345-6789AB-CDEF01. Required with an amount."},
			{Name: "thresholds", Type: "array", Default: []int{50, 90, 100}, Description: "Percents of the amount at which mail is sent: to the shared channels, and to the billing account's administrators."},
		}},
}

// serversLogs is what Berth's servers write: every client's service is berth-CLIENT.
const serversLogs = `resource.type="cloud_run_revision" AND resource.labels.service_name=~"^berth-"`
