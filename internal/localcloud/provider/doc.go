// Package provider is the local cloud's Pulumi resource provider: a gRPC
// server that the real engine attaches to (PULUMI_DEBUG_PROVIDERS=gcp:PORT) in
// place of the pulumi-gcp 8.41.1 plugin.
//
// It previews, validates, diffs, replaces and reads as that plugin does. Names,
// types and nesting come from the plugin's own SDK by reflection; what the SDK
// does not say (what forces a replacement, what the API fills in, what is
// checked before a plan) is data in the type_*.go files, so another resource
// type is mostly another table.
//
// It holds no resource state: everything lives behind the REST endpoints that
// the provider configuration names. It must not know which APIs answer there,
// and it can never reach a real account, because it refuses any endpoint that
// is not loopback and dials loopback addresses only.
package provider
