// Package conformance runs MCP's own conformance suite, in tests with the build tag
// interop.
package conformance
