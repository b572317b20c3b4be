// Package instance runs a container image as a native process: it pulls the
// image by digest, unpacks it for the host, starts its entrypoint with the
// variables that Cloud Run promises a container, waits until it listens, and
// stops it as Cloud Run does. It must not know of services' policies, of
// requests or of how many instances there should be.
//
// A process is not a container. These are the limits:
//
//   - There is no root of its own. The entrypoint, the working directory and
//     links inside the image are resolved in the unpacked image, but an
//     absolute path that the program opens is the host's. Static binaries
//     without files of their own, as ko builds them, do not notice.
//   - Instances of one image share its unpacked files.
//   - Nothing can be mounted at an absolute path without rights over the host.
//     A volume is a directory of the instance's own, and wherever a command, an
//     argument or a variable of the container's names the path at which it is
//     mounted, or one below, the program is given where it really is. A program
//     that has such a path built in does not find it.
//   - The containers of all instances share the host's localhost. A sidecar
//     that listens on a port of its own choice needs it to be free.
//   - CPU and memory limits are not enforced.
//   - Cloud Run's contract is that a container listens on all interfaces at
//     PORT. A program that does so here is reachable by other machines, past
//     the front end and its checks, unless the host's firewall says otherwise.
//     No portable means keeps a native process from that. A program that takes
//     its address from the environment can be told to stay on loopback: see
//     Container.Env. Other programs of this machine reach it in either case.
package instance
