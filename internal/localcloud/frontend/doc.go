// Package frontend is Cloud Run's front end for one machine: an address on
// loopback per service, at which callers are checked as Google's front end
// checks them, and behind which instances are started, shared, replaced and
// stopped as Cloud Run does.
//
// It must not know how services are described to an API, how policies are
// stored, or what a service does: it is handed a service and its revision to
// deploy, asks for the members of roles/run.invoker, and passes bytes on.
//
// What it leaves out of Cloud Run: several containers in an instance, volumes,
// secrets as variables, traffic splits, gRPC probes and WebSockets. A service
// that asks for one of the first five is refused by Deploy.
package frontend
