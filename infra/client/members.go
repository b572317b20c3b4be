package client

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
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
	customerID   = regexp.MustCompile(`^C[0-9a-z]{2,20}$`)
	domainName   = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
)

// accessProblems reports who cannot be let in, as the person wrote it.
func (a *ServerArgs) accessProblems() []error {
	var c checker
	c.want(len(a.Developers) > 0 || a.Group.Email != "", "developers", "",
		"lets nobody in; name a group: pulumi config set --path 'developers[0]' group:ADDRESS")
	for _, m := range a.Developers {
		if why := memberProblem(m); why != "" {
			c.want(false, "developers", m, "%s", why)
		}
	}
	g := a.Group
	if g.Email == "" {
		c.want(g.Customer == "" && len(g.Members) == 0, "group.email", "", "is empty, and the group has settings; name the group's address, or remove them")
		return c.problems
	}
	c.want(emailAddress.MatchString(ascii.Lower(g.Email)), "group.email", g.Email, "is not a group's address, like acme-developers@example.com")
	c.want(customerID.MatchString(g.Customer), "group.customer", g.Customer, "is not a customer id, like C01abc234; find it with: gcloud organizations list")
	for i, m := range g.Members {
		key := fmt.Sprintf("group.members[%d]", i)
		c.want(emailAddress.MatchString(ascii.Lower(m)), key, m, "is not an address, like ada@example.com; write it without user: or group:")
		c.want(!ascii.EqualFold(m, g.Email), key, m, "is the group itself; remove it")
	}
	return c.problems
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

// canonicalAddresses are addresses in lower case, each once, sorted. Of letters that are
// not ASCII, none is folded: they would become somebody else's address.
func canonicalAddresses(addresses []string) []string {
	var out []string
	for _, address := range addresses {
		out = append(out, ascii.Lower(strings.TrimSpace(address)))
	}
	slices.Sort(out)
	return slices.Compact(out)
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
		return known + ":" + ascii.Lower(strings.TrimSpace(address))
	}
	return ascii.Lower(strings.TrimSpace(written))
}

func canonicalKind(kind string) string {
	for known := range memberKinds {
		if ascii.EqualFold(kind, known) {
			return known
		}
	}
	return ""
}
