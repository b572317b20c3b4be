// Package apis serves the Google Cloud APIs that a local cloud offers: Cloud
// Run v2, IAM service accounts, Artifact Registry, Secret Manager, Service Usage,
// the container registry, and what administers a project and its people: Cloud
// Resource Manager, Cloud Identity, Cloud Logging, Cloud Monitoring, Cloud KMS,
// Cloud Billing and organization policies.
// Each comes as Google's REST, and where Google publishes protos as gRPC and from
// these, so that official clients and plugins work unchanged. All state is in memory.
//
// It decides what exists and who may change it. It must not know how a service
// is run ([Platform] does) nor how people prove who they are
// ([Options.Authenticate] does), and it calls nothing outside of this process.
package apis
