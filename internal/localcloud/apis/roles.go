package apis

import (
	"path"
	"slices"
)

// roles are Google's predefined roles, as far as they can be granted here, with
// the permissions that they hold, after
// https://cloud.google.com/iam/docs/roles-permissions. A star stands for any
// name. Permissions for what the local cloud does not have are left out.
var roles = map[string][]string{
	"roles/owner":  {"*"},
	"roles/editor": append(slices.Clone(editing), reading...),
	"roles/viewer": reading,

	"roles/run.admin": {"run.*"},
	"roles/run.developer": {
		"run.services.create", "run.services.delete", "run.services.get", "run.services.getIamPolicy",
		"run.services.list", "run.services.update", "run.revisions.*",
	},
	"roles/run.invoker":         {"run.routes.invoke"},
	"roles/run.servicesInvoker": {"run.routes.invoke"},
	"roles/run.viewer": {
		"run.services.get", "run.services.getIamPolicy", "run.services.list", "run.revisions.get", "run.revisions.list",
	},

	"roles/iam.serviceAccountAdmin": {
		"iam.serviceAccounts.create", "iam.serviceAccounts.delete", "iam.serviceAccounts.disable",
		"iam.serviceAccounts.enable", "iam.serviceAccounts.get", "iam.serviceAccounts.getIamPolicy",
		"iam.serviceAccounts.list", "iam.serviceAccounts.setIamPolicy", "iam.serviceAccounts.update",
	},
	"roles/iam.serviceAccountOpenIdTokenCreator": {"iam.serviceAccounts.getOpenIdToken"},
	"roles/iam.serviceAccountTokenCreator": {
		"iam.serviceAccounts.get", "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken",
		"iam.serviceAccounts.implicitDelegation", "iam.serviceAccounts.list",
	},
	"roles/iam.serviceAccountUser": {"iam.serviceAccounts.actAs", "iam.serviceAccounts.get", "iam.serviceAccounts.list"},
	"roles/iam.workloadIdentityUser": {
		"iam.serviceAccounts.get", "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken", "iam.serviceAccounts.list",
	},

	"roles/artifactregistry.admin": {"artifactregistry.*"},
	"roles/artifactregistry.reader": {
		"artifactregistry.repositories.downloadArtifacts", "artifactregistry.repositories.get", "artifactregistry.repositories.list",
	},
	"roles/artifactregistry.repoAdmin": {
		"artifactregistry.repositories.deleteArtifacts", "artifactregistry.repositories.downloadArtifacts",
		"artifactregistry.repositories.get", "artifactregistry.repositories.list", "artifactregistry.repositories.uploadArtifacts",
	},
	"roles/artifactregistry.writer": {
		"artifactregistry.repositories.downloadArtifacts", "artifactregistry.repositories.get",
		"artifactregistry.repositories.list", "artifactregistry.repositories.uploadArtifacts",
	},

	"roles/storage.admin": {"storage.*"},
	"roles/storage.legacyBucketOwner": {
		"storage.buckets.get", "storage.buckets.getIamPolicy", "storage.buckets.setIamPolicy", "storage.buckets.update",
		"storage.objects.create", "storage.objects.delete", "storage.objects.list",
	},
	"roles/storage.legacyBucketReader": {"storage.buckets.get", "storage.objects.list"},
	"roles/storage.legacyBucketWriter": {
		"storage.buckets.get", "storage.objects.create", "storage.objects.delete", "storage.objects.list",
	},
	"roles/storage.legacyObjectOwner":  {"storage.objects.get", "storage.objects.update"},
	"roles/storage.legacyObjectReader": {"storage.objects.get"},
	"roles/storage.objectAdmin":        {"storage.objects.*"},
	"roles/storage.objectCreator":      {"storage.objects.create"},
	"roles/storage.objectUser": {
		"storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list", "storage.objects.update",
	},
	"roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},

	"roles/secretmanager.admin":              {"secretmanager.*"},
	"roles/secretmanager.secretAccessor":     {accessVersion},
	"roles/secretmanager.secretVersionAdder": {"secretmanager.versions.add"},
	"roles/secretmanager.secretVersionManager": {
		"secretmanager.versions.add", "secretmanager.versions.destroy", "secretmanager.versions.disable",
		"secretmanager.versions.enable", "secretmanager.versions.get", "secretmanager.versions.list",
	},
	"roles/secretmanager.viewer": {
		"secretmanager.secrets.get", "secretmanager.secrets.getIamPolicy", "secretmanager.secrets.list",
		"secretmanager.versions.get", "secretmanager.versions.list",
	},

	"roles/browser":                           {"resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy"},
	"roles/resourcemanager.projectIamAdmin":   {"resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy"},
	"roles/orgpolicy.policyViewer":            {"orgpolicy.policy.get"},
	"roles/serviceusage.serviceUsageAdmin":    {"serviceusage.services.*"},
	"roles/serviceusage.serviceUsageConsumer": {"serviceusage.services.get", "serviceusage.services.list", "serviceusage.services.use"},
	"roles/logging.admin":                     {"logging.*"},
	"roles/logging.bucketWriter":              {"logging.buckets.write"},
	"roles/logging.configWriter":              {"logging.buckets.*", "logging.logMetrics.*", "logging.sinks.*"},
	"roles/logging.logWriter":                 {"logging.logEntries.create"},
	"roles/logging.viewer":                    loggingReading,

	"roles/monitoring.admin":  {"monitoring.*"},
	"roles/monitoring.editor": {"monitoring.*"},
	"roles/monitoring.viewer": monitoringReading,

	"roles/cloudkms.admin":                       {"cloudkms.cryptoKeys.*", "cloudkms.keyRings.*"},
	"roles/cloudkms.cryptoKeyDecrypter":          {"cloudkms.cryptoKeyVersions.useToDecrypt"},
	"roles/cloudkms.cryptoKeyEncrypter":          {useKey},
	"roles/cloudkms.cryptoKeyEncrypterDecrypter": {"cloudkms.cryptoKeyVersions.useToDecrypt", useKey},
	"roles/cloudkms.viewer":                      {"cloudkms.cryptoKeys.get", "cloudkms.cryptoKeys.list", "cloudkms.keyRings.get", "cloudkms.keyRings.list"},
}

// reading and editing are what the basic roles hold, but for owner's;
// loggingReading and monitoringReading are parts of it.
var (
	loggingReading = []string{
		"logging.buckets.get", "logging.buckets.list", "logging.logMetrics.get", "logging.logMetrics.list",
		"logging.sinks.get", "logging.sinks.list",
	}
	monitoringReading = []string{
		"monitoring.alertPolicies.get", "monitoring.alertPolicies.list", "monitoring.dashboards.get",
		"monitoring.dashboards.list", "monitoring.notificationChannels.get", "monitoring.notificationChannels.list",
	}
	reading = append([]string{
		"artifactregistry.repositories.downloadArtifacts", "artifactregistry.repositories.get",
		"artifactregistry.repositories.getIamPolicy", "artifactregistry.repositories.list",
		"cloudkms.cryptoKeys.get", "cloudkms.keyRings.get",
		"iam.serviceAccounts.get", "iam.serviceAccounts.getIamPolicy", "iam.serviceAccounts.list",
		"operations.get", "operations.list", "orgpolicy.policy.get",
		"resourcemanager.projects.get", "resourcemanager.projects.getIamPolicy",
		"run.revisions.get", "run.revisions.list", "run.services.get", "run.services.getIamPolicy", "run.services.list",
		"secretmanager.secrets.get", "secretmanager.secrets.getIamPolicy", "secretmanager.secrets.list",
		"secretmanager.versions.get", "secretmanager.versions.list",
		"serviceusage.services.get", "serviceusage.services.list",
	}, slices.Concat(loggingReading, monitoringReading)...)
	editing = []string{
		"artifactregistry.repositories.create", "artifactregistry.repositories.delete",
		"artifactregistry.repositories.update", "artifactregistry.repositories.uploadArtifacts",
		"iam.serviceAccounts.actAs", "iam.serviceAccounts.create", "iam.serviceAccounts.delete",
		"iam.serviceAccounts.disable", "iam.serviceAccounts.enable", "iam.serviceAccounts.update",
		"logging.logMetrics.create", "logging.logMetrics.delete", "logging.logMetrics.update", "monitoring.*",
		"run.services.create", "run.services.delete", "run.services.update",
		"secretmanager.secrets.create", "secretmanager.secrets.delete", "secretmanager.secrets.update",
		"secretmanager.versions.add", "secretmanager.versions.destroy", "secretmanager.versions.disable",
		"secretmanager.versions.enable",
		"serviceusage.services.disable", "serviceusage.services.enable",
	}
)

// roleHolds tells whether a role holds a permission. A role that is not in the
// table holds none.
func roleHolds(role, permission string) bool {
	return slices.ContainsFunc(roles[role], func(pattern string) bool {
		ok, err := path.Match(pattern, permission)
		return err == nil && ok
	})
}
