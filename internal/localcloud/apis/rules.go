package apis

import (
	"cloud.google.com/go/artifactregistry/apiv1/artifactregistrypb"
	"cloud.google.com/go/billing/apiv1/billingpb"
	"cloud.google.com/go/billing/budgets/apiv1/budgetspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"cloud.google.com/go/monitoring/dashboard/apiv1/dashboardpb"
	"cloud.google.com/go/orgpolicy/apiv2/orgpolicypb"
	"cloud.google.com/go/run/apiv2/runpb"
	sm "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"cloud.google.com/go/serviceusage/apiv1/serviceusagepb"
)

// The APIs that a project must have enabled before anybody may call them.
// Service Usage and Cloud Resource Manager are always on.
const (
	runAPI      = "run.googleapis.com"
	iamAPI      = "iam.googleapis.com"
	registryAPI = "artifactregistry.googleapis.com"
	secretsAPI  = "secretmanager.googleapis.com"
	tokensAPI   = "iamcredentials.googleapis.com"
)

// rule is what it takes to call a method.
type rule struct {
	api        string // that the project must have enabled; empty: always on
	permission string // that the caller must hold; empty: any signed-in caller
	field      string // of the request, naming the resource
}

// Permissions that are asked for elsewhere than in the rules, or there too.
const (
	accessVersion     = "secretmanager.versions.access"
	actAs             = "iam.serviceAccounts.actAs"
	getProject        = "resourcemanager.projects.get"
	downloadArtifacts = "artifactregistry.repositories.downloadArtifacts"
	uploadArtifacts   = "artifactregistry.repositories.uploadArtifacts"
)

// iamMethod begins the names of IAM's methods, for which its Go package has no
// constants.
const iamMethod = "/google.iam.admin.v1.IAM/"

// rules has every method that is served; the others are UNIMPLEMENTED.
var rules = map[string]rule{
	runpb.Services_CreateService_FullMethodName:      {runAPI, "run.services.create", "parent"},
	runpb.Services_GetService_FullMethodName:         {runAPI, "run.services.get", "name"},
	runpb.Services_ListServices_FullMethodName:       {runAPI, "run.services.list", "parent"},
	runpb.Services_UpdateService_FullMethodName:      {runAPI, "run.services.update", "service.name"},
	runpb.Services_DeleteService_FullMethodName:      {runAPI, "run.services.delete", "name"},
	runpb.Services_GetIamPolicy_FullMethodName:       {runAPI, "run.services.getIamPolicy", "resource"},
	runpb.Services_SetIamPolicy_FullMethodName:       {runAPI, "run.services.setIamPolicy", "resource"},
	runpb.Services_TestIamPermissions_FullMethodName: {runAPI, "", "resource"},
	runpb.Revisions_GetRevision_FullMethodName:       {runAPI, "run.revisions.get", "name"},
	runpb.Revisions_ListRevisions_FullMethodName:     {runAPI, "run.revisions.list", "parent"},

	iamMethod + "CreateServiceAccount":  {iamAPI, "iam.serviceAccounts.create", "name"},
	iamMethod + "GetServiceAccount":     {iamAPI, "iam.serviceAccounts.get", "name"},
	iamMethod + "ListServiceAccounts":   {iamAPI, "iam.serviceAccounts.list", "name"},
	iamMethod + "PatchServiceAccount":   {iamAPI, "iam.serviceAccounts.update", "service_account.name"},
	iamMethod + "DeleteServiceAccount":  {iamAPI, "iam.serviceAccounts.delete", "name"},
	iamMethod + "EnableServiceAccount":  {iamAPI, "iam.serviceAccounts.enable", "name"},
	iamMethod + "DisableServiceAccount": {iamAPI, "iam.serviceAccounts.disable", "name"},
	iamMethod + "GetIamPolicy":          {iamAPI, "iam.serviceAccounts.getIamPolicy", "resource"},
	iamMethod + "SetIamPolicy":          {iamAPI, "iam.serviceAccounts.setIamPolicy", "resource"},
	iamMethod + "TestIamPermissions":    {iamAPI, "", "resource"},

	artifactregistrypb.ArtifactRegistry_CreateRepository_FullMethodName:   {registryAPI, "artifactregistry.repositories.create", "parent"},
	artifactregistrypb.ArtifactRegistry_GetRepository_FullMethodName:      {registryAPI, "artifactregistry.repositories.get", "name"},
	artifactregistrypb.ArtifactRegistry_ListRepositories_FullMethodName:   {registryAPI, "artifactregistry.repositories.list", "parent"},
	artifactregistrypb.ArtifactRegistry_UpdateRepository_FullMethodName:   {registryAPI, "artifactregistry.repositories.update", "repository.name"},
	artifactregistrypb.ArtifactRegistry_DeleteRepository_FullMethodName:   {registryAPI, "artifactregistry.repositories.delete", "name"},
	artifactregistrypb.ArtifactRegistry_GetIamPolicy_FullMethodName:       {registryAPI, "artifactregistry.repositories.getIamPolicy", "resource"},
	artifactregistrypb.ArtifactRegistry_SetIamPolicy_FullMethodName:       {registryAPI, "artifactregistry.repositories.setIamPolicy", "resource"},
	artifactregistrypb.ArtifactRegistry_TestIamPermissions_FullMethodName: {registryAPI, "", "resource"},

	credentialspb.IAMCredentials_GenerateAccessToken_FullMethodName: {tokensAPI, "iam.serviceAccounts.getAccessToken", "name"},
	credentialspb.IAMCredentials_GenerateIdToken_FullMethodName:     {tokensAPI, "iam.serviceAccounts.getOpenIdToken", "name"},

	sm.SecretManagerService_CreateSecret_FullMethodName:         {secretsAPI, "secretmanager.secrets.create", "parent"},
	sm.SecretManagerService_GetSecret_FullMethodName:            {secretsAPI, "secretmanager.secrets.get", "name"},
	sm.SecretManagerService_ListSecrets_FullMethodName:          {secretsAPI, "secretmanager.secrets.list", "parent"},
	sm.SecretManagerService_UpdateSecret_FullMethodName:         {secretsAPI, "secretmanager.secrets.update", "secret.name"},
	sm.SecretManagerService_DeleteSecret_FullMethodName:         {secretsAPI, "secretmanager.secrets.delete", "name"},
	sm.SecretManagerService_AddSecretVersion_FullMethodName:     {secretsAPI, "secretmanager.versions.add", "parent"},
	sm.SecretManagerService_GetSecretVersion_FullMethodName:     {secretsAPI, "secretmanager.versions.get", "name"},
	sm.SecretManagerService_ListSecretVersions_FullMethodName:   {secretsAPI, "secretmanager.versions.list", "parent"},
	sm.SecretManagerService_AccessSecretVersion_FullMethodName:  {secretsAPI, accessVersion, "name"},
	sm.SecretManagerService_EnableSecretVersion_FullMethodName:  {secretsAPI, "secretmanager.versions.enable", "name"},
	sm.SecretManagerService_DisableSecretVersion_FullMethodName: {secretsAPI, "secretmanager.versions.disable", "name"},
	sm.SecretManagerService_DestroySecretVersion_FullMethodName: {secretsAPI, "secretmanager.versions.destroy", "name"},
	sm.SecretManagerService_GetIamPolicy_FullMethodName:         {secretsAPI, "secretmanager.secrets.getIamPolicy", "resource"},
	sm.SecretManagerService_SetIamPolicy_FullMethodName:         {secretsAPI, "secretmanager.secrets.setIamPolicy", "resource"},
	sm.SecretManagerService_TestIamPermissions_FullMethodName:   {secretsAPI, "", "resource"},

	// What it takes depends on the resource; these methods ask themselves.
	iampb.IAMPolicy_GetIamPolicy_FullMethodName:       {"", "", "resource"},
	iampb.IAMPolicy_SetIamPolicy_FullMethodName:       {"", "", "resource"},
	iampb.IAMPolicy_TestIamPermissions_FullMethodName: {"", "", "resource"},

	kmspb.KeyManagementService_GetKeyRing_FullMethodName:        {keysAPI, "cloudkms.keyRings.get", "name"},
	kmspb.KeyManagementService_GetCryptoKey_FullMethodName:      {keysAPI, "cloudkms.cryptoKeys.get", "name"},
	orgpolicypb.OrgPolicy_GetEffectivePolicy_FullMethodName:     {orgPolicyAPI, "orgpolicy.policy.get", "name"},
	billingpb.CloudBilling_GetProjectBillingInfo_FullMethodName: {billingAPI, getProject, "name"},

	loggingpb.MetricsServiceV2_CreateLogMetric_FullMethodName:  {loggingAPI, "logging.logMetrics.create", "parent"},
	loggingpb.MetricsServiceV2_GetLogMetric_FullMethodName:     {loggingAPI, "logging.logMetrics.get", "metric_name"},
	loggingpb.MetricsServiceV2_ListLogMetrics_FullMethodName:   {loggingAPI, "logging.logMetrics.list", "parent"},
	loggingpb.MetricsServiceV2_UpdateLogMetric_FullMethodName:  {loggingAPI, "logging.logMetrics.update", "metric_name"},
	loggingpb.MetricsServiceV2_DeleteLogMetric_FullMethodName:  {loggingAPI, "logging.logMetrics.delete", "metric_name"},
	loggingpb.ConfigServiceV2_CreateBucket_FullMethodName:      {loggingAPI, "logging.buckets.create", "parent"},
	loggingpb.ConfigServiceV2_CreateBucketAsync_FullMethodName: {loggingAPI, "logging.buckets.create", "parent"},
	loggingpb.ConfigServiceV2_UpdateBucketAsync_FullMethodName: {loggingAPI, "logging.buckets.update", "name"},
	loggingpb.ConfigServiceV2_GetBucket_FullMethodName:         {loggingAPI, "logging.buckets.get", "name"},
	loggingpb.ConfigServiceV2_ListBuckets_FullMethodName:       {loggingAPI, "logging.buckets.list", "parent"},
	loggingpb.ConfigServiceV2_UpdateBucket_FullMethodName:      {loggingAPI, "logging.buckets.update", "name"},
	loggingpb.ConfigServiceV2_DeleteBucket_FullMethodName:      {loggingAPI, "logging.buckets.delete", "name"},
	loggingpb.ConfigServiceV2_CreateSink_FullMethodName:        {loggingAPI, "logging.sinks.create", "parent"},
	loggingpb.ConfigServiceV2_GetSink_FullMethodName:           {loggingAPI, "logging.sinks.get", "sink_name"},
	loggingpb.ConfigServiceV2_ListSinks_FullMethodName:         {loggingAPI, "logging.sinks.list", "parent"},
	loggingpb.ConfigServiceV2_UpdateSink_FullMethodName:        {loggingAPI, "logging.sinks.update", "sink_name"},
	loggingpb.ConfigServiceV2_DeleteSink_FullMethodName:        {loggingAPI, "logging.sinks.delete", "sink_name"},

	monitoringpb.AlertPolicyService_CreateAlertPolicy_FullMethodName:                 {monitoringAPI, "monitoring.alertPolicies.create", "name"},
	monitoringpb.AlertPolicyService_GetAlertPolicy_FullMethodName:                    {monitoringAPI, "monitoring.alertPolicies.get", "name"},
	monitoringpb.AlertPolicyService_ListAlertPolicies_FullMethodName:                 {monitoringAPI, "monitoring.alertPolicies.list", "name"},
	monitoringpb.AlertPolicyService_UpdateAlertPolicy_FullMethodName:                 {monitoringAPI, "monitoring.alertPolicies.update", "alert_policy.name"},
	monitoringpb.AlertPolicyService_DeleteAlertPolicy_FullMethodName:                 {monitoringAPI, "monitoring.alertPolicies.delete", "name"},
	monitoringpb.NotificationChannelService_CreateNotificationChannel_FullMethodName: {monitoringAPI, "monitoring.notificationChannels.create", "name"},
	monitoringpb.NotificationChannelService_GetNotificationChannel_FullMethodName:    {monitoringAPI, "monitoring.notificationChannels.get", "name"},
	monitoringpb.NotificationChannelService_ListNotificationChannels_FullMethodName:  {monitoringAPI, "monitoring.notificationChannels.list", "name"},
	monitoringpb.NotificationChannelService_UpdateNotificationChannel_FullMethodName: {monitoringAPI, "monitoring.notificationChannels.update", "notification_channel.name"},
	monitoringpb.NotificationChannelService_DeleteNotificationChannel_FullMethodName: {monitoringAPI, "monitoring.notificationChannels.delete", "name"},
	dashboardpb.DashboardsService_CreateDashboard_FullMethodName:                     {monitoringAPI, "monitoring.dashboards.create", "parent"},
	dashboardpb.DashboardsService_GetDashboard_FullMethodName:                        {monitoringAPI, "monitoring.dashboards.get", "name"},
	dashboardpb.DashboardsService_ListDashboards_FullMethodName:                      {monitoringAPI, "monitoring.dashboards.list", "parent"},
	dashboardpb.DashboardsService_UpdateDashboard_FullMethodName:                     {monitoringAPI, "monitoring.dashboards.update", "dashboard.name"},
	dashboardpb.DashboardsService_DeleteDashboard_FullMethodName:                     {monitoringAPI, "monitoring.dashboards.delete", "name"},

	// Budgets are in no project; these methods ask themselves.
	budgetspb.BudgetService_CreateBudget_FullMethodName: {"", "", "parent"},
	budgetspb.BudgetService_GetBudget_FullMethodName:    {"", "", "name"},
	budgetspb.BudgetService_ListBudgets_FullMethodName:  {"", "", "parent"},
	budgetspb.BudgetService_UpdateBudget_FullMethodName: {"", "", "budget.name"},
	budgetspb.BudgetService_DeleteBudget_FullMethodName: {"", "", "name"},

	serviceusagepb.ServiceUsage_EnableService_FullMethodName:       {"", "serviceusage.services.enable", "name"},
	serviceusagepb.ServiceUsage_DisableService_FullMethodName:      {"", "serviceusage.services.disable", "name"},
	serviceusagepb.ServiceUsage_GetService_FullMethodName:          {"", "serviceusage.services.get", "name"},
	serviceusagepb.ServiceUsage_ListServices_FullMethodName:        {"", "serviceusage.services.list", "parent"},
	serviceusagepb.ServiceUsage_BatchEnableServices_FullMethodName: {"", "serviceusage.services.enable", "parent"},
	serviceusagepb.ServiceUsage_BatchGetServices_FullMethodName:    {"", "serviceusage.services.get", "parent"},

	longrunningpb.Operations_GetOperation_FullMethodName:   {"", "operations.get", "name"},
	longrunningpb.Operations_ListOperations_FullMethodName: {"", "operations.list", "name"},
	longrunningpb.Operations_WaitOperation_FullMethodName:  {"", "operations.get", "name"},
}
