package apis

import (
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
)

// match takes the values of the stars out of a resource's name: the pattern
// "projects/*/locations/*" on "projects/p/locations/l" gives p and l.
func match(pattern, name string) ([]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(want) != len(have) {
		return nil, false
	}
	var values []string
	for i, segment := range want {
		switch {
		case have[i] == "":
			return nil, false
		case segment == "*":
			values = append(values, have[i])
		case segment != have[i]:
			return nil, false
		}
	}
	return values, true
}

// projectName is the projects/P that a resource's name begins with, or "".
func projectName(name string) string {
	segments := strings.SplitN(name, "/", 3)
	if len(segments) < 2 || segments[0] != "projects" {
		return ""
	}
	return "projects/" + segments[1]
}

// locationOf is where a resource named projects/P/locations/L/… is, or "".
func locationOf(name string) string {
	segments := strings.SplitN(name, "/", 5)
	if len(segments) < 4 || segments[2] != "locations" {
		return ""
	}
	return segments[3]
}

// lastSegment is a resource's own id.
func lastSegment(name string) string {
	return name[strings.LastIndexByte(name, '/')+1:]
}

// domainsOf are the domains of e-mail addresses.
func domainsOf(emails []string) []string {
	var domains []string
	for _, email := range lowerAll(emails) {
		_, domain, _ := strings.Cut(email, "@")
		domains = append(domains, domain)
	}
	return domains
}

func lowerAll(values []string) []string {
	lower := make([]string, len(values))
	for i, v := range values {
		lower[i] = ascii.Lower(v)
	}
	return lower
}
