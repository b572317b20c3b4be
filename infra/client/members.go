package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/infra/setting"
)

// memberKinds are the IAM principals that may be let in, and the form of what
// follows the colon.
var memberKinds = map[string]*regexp.Regexp{
	"group":          emailAddress,
	"user":           emailAddress,
	"serviceAccount": emailAddress,
	"domain":         domainName,
}

var (
	emailAddress = regexp.MustCompile(`^[a-z0-9.!#$%&'*+/=?^_{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	domainName   = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

// memberProblems reports what cannot be let in, as the person wrote it.
func memberProblems(members []string) []error {
	if len(members) == 0 {
		return []error{setting.Problem("developers", "", "lets nobody in; name a group: pulumi config set --path 'developers[0]' group:ADDRESS")}
	}
	var problems []error
	for _, m := range members {
		if why := memberProblem(m); why != "" {
			problems = append(problems, setting.Problem("developers", m, "%s", why))
		}
	}
	return problems
}

func memberProblem(written string) string {
	member := canonicalMember(written)
	kind, address, found := strings.Cut(member, ":")
	form, known := memberKinds[kind]
	switch {
	case member == "allusers" || member == "allauthenticatedusers":
		return "would open the server to the whole internet, which Berth never does; name the client's group, like group:acme-developers@example.com"
	case kind == "deleted":
		return "is a principal that was deleted; remove it"
	case !found && strings.Contains(member, "@"):
		return fmt.Sprintf("does not say what it is; write group:%s or user:%s", member, member)
	case !known:
		return "is of no known kind; write group:, user:, serviceAccount: or domain:, then the address"
	case !form.MatchString(address):
		return fmt.Sprintf("has no valid address after %q; write it like %s", kind+":", memberExamples[kind])
	}
	return ""
}

var memberExamples = map[string]string{
	"group":          "group:acme-developers@example.com",
	"user":           "user:ada@example.com",
	"serviceAccount": "serviceAccount:agent@my-project.iam.gserviceaccount.com",
	"domain":         "domain:example.com",
}

// canonicalMembers writes members as IAM does, so that the same people never
// show as a change: addresses in lower case, each once, sorted.
func canonicalMembers(members []string) []string {
	var out []string
	for _, m := range members {
		out = append(out, canonicalMember(m))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func canonicalMember(written string) string {
	kind, address, found := strings.Cut(strings.TrimSpace(written), ":")
	if known := canonicalKind(kind); known != "" && found {
		return known + ":" + strings.ToLower(strings.TrimSpace(address))
	}
	return strings.ToLower(strings.TrimSpace(written))
}

func canonicalKind(kind string) string {
	for known := range memberKinds {
		if strings.EqualFold(kind, known) {
			return known
		}
	}
	return ""
}
