// Package nodejs runs what others wrote for Node.js, in tests with the build tag
// interop: MCP's own conformance suite, and clients.
package nodejs
