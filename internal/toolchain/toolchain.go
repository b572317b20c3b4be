// Package toolchain knows which Go builds Berth. The go directive in go.mod is the
// one source of the version; the tests of this package compare everything else with
// it, and run the check for known vulnerabilities.
package toolchain

import (
	"go/version"
	"os"
	"regexp"
)

// Go is the version in the go directive of Berth's go.mod: the oldest Go whose
// standard library has the security fixes that Berth relies on.
const Go = "go1.26.8"

var goDirective = regexp.MustCompile(`(?m)^go\s+(\S+)`)

// Directive returns the version in the go directive of a go.mod file, like go1.26.8.
// It is empty if there is no such file, or no directive in it.
func Directive(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if found := goDirective.FindSubmatch(content); found != nil {
		return "go" + string(found[1])
	}
	return ""
}

// Required returns the oldest Go that may build the server of a project: [Go], or the
// go directive of the project's go.mod if that is newer.
func Required(gomod string) string {
	if directive := Directive(gomod); version.Compare(directive, Go) > 0 {
		return directive
	}
	return Go
}
