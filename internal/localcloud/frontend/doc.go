// Package frontend is Cloud Run's front end for one machine: an address on
// loopback per service, at which callers are checked as Google's front end
// checks them, and behind which instances are started, shared, replaced and
// stopped as Cloud Run does.
//
// It must not know how services are described to an API, how policies are
// stored, or what a service does: it is handed a service and its revision to
// deploy, asks for the members of roles/run.invoker, and passes bytes on.
//
// What it leaves out of Cloud Run: traffic splits, volumes of other kinds than
// secrets and empty directories, and WebSockets. A service that asks for one of
// the first two is refused by Deploy.
//
// Containers of one instance share this machine's localhost, and so do those of
// all others. The one that serves is given a free port; a sidecar listens where
// its config says. So a service with sidecars has one instance at most, whose
// end comes before the next revision's start, and two services whose sidecars
// want the same port cannot run at once.
package frontend
