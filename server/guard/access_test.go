package guard_test

import (
	"context"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

// roleOf is the role in which a caller's call of a tool is carried out.
func roleOf(t *testing.T, access guard.Access, caller identity.Caller) guard.Role {
	t.Helper()
	g := newGuarded(guard.Options{Access: access})
	var got guard.Role
	g.add("role", guard.Viewer, true, func(ctx context.Context) (string, error) { got = guard.RoleFrom(ctx); return "", nil })
	call(t, g.as(t, caller), "role", nil)
	return got
}

// second is somebody else whose address is the first one's.
func second(first identity.Caller) identity.Caller {
	first.Subject = "another"
	return first
}

func TestAccess_SubjectRuleNamesOneOfTwoWithTheSameAddress(t *testing.T) {
	kim := person("kim@example.com")
	access := guard.Access{Roles: map[guard.Role][]string{guard.Manager: {"subject:" + kim.Key()}}}
	require.NoError(t, access.Check())
	assert.Equal(t, guard.Manager, roleOf(t, access, kim))
	renamed := kim
	renamed.Email = "kim@new.example"
	assert.Equal(t, guard.Manager, roleOf(t, access, renamed), "whatever their address is by now")

	elsewhere := kim
	elsewhere.Issuer = "https://login.example.net"
	upper := kim
	upper.Subject = "SUB-OF-kim@example.com"
	for name, other := range map[string]identity.Caller{
		"another subject": second(kim), "another issuer": elsewhere, "other letters": upper, "no subject": {Email: kim.Email, Mode: identity.ModeOIDC},
	} {
		assert.Equal(t, guard.Viewer, roleOf(t, access, other), name)
	}
}

func TestAccess_FoldsASCIIOnly(t *testing.T) {
	access := guard.Access{Roles: map[guard.Role][]string{
		guard.Manager:     {"user:KIM@Example.com"},
		guard.Contributor: {"domain:KIOSK.example"},
	}}
	assert.Equal(t, guard.Manager, roleOf(t, access, person("kim@example.com")))
	assert.Equal(t, guard.Contributor, roleOf(t, access, person("ada@kiosk.example")))
	for _, rule := range []string{"user:\u212Aim@example.com", "serviceAccount:\u212Aim@example.com", "domain:\u212Aiosk.example"} {
		g := newGuarded(guard.Options{Access: guard.Access{Roles: map[guard.Role][]string{guard.Manager: {rule}}}})
		inside, _ := mcp.NewInMemoryTransports()
		_, err := g.guard.Connect(t.Context(), inside)
		assert.ErrorContains(t, err, "characters other than ASCII", rule)
	}
}

func TestAccess_CheckTellsOfEachRuleThatNamesNobody(t *testing.T) {
	problems := map[string]string{
		"subject:":                             "names nobody: write subject:, user:",
		"subject:117012345678901234567":        "write ISSUER#SUBJECT, as the tool whoami gives it",
		"subject:accounts.google.com#1":        "write https://accounts.google.com",
		"subject:http://login.example.com#1":   "is not https",
		"subject:https://login.example.com#":   "there is no subject",
		"subject:https://login.example.com#zö": "characters other than printable ASCII",
		"Subject:https://login.example.com#1":  "names nobody",
		"\u017Fubject:https://login.example#1": "names nobody",
		"user:\u212Aim@example.com":            "characters other than ASCII",
		"serviceAccount:\u212A@p.example":      "characters other than ASCII",
		"domain:bücher.example":                "write a domain as DNS does, with xn--",
	}
	access := guard.Access{Roles: map[guard.Role][]string{}}
	for rule := range problems {
		access.Roles[guard.Admin] = append(access.Roles[guard.Admin], rule)
	}
	err := access.Check()
	for rule, want := range problems {
		only := guard.Access{Roles: map[guard.Role][]string{guard.Admin: {rule}}}.Check()
		require.ErrorContains(t, only, want, rule)
		assert.ErrorContains(t, err, only.Error(), "all at once")
	}
	assert.NoError(t, guard.Access{Roles: map[guard.Role][]string{guard.Admin: {
		"subject:https://accounts.google.com#117012345678901234567", "subject:dev#dev@localhost", "user:Kim@Example.com", "domain:xn--bcher-kva.example", "group:Büro",
	}}}.Check())
}

func TestRecord_NamesIssuerAndSubject(t *testing.T) {
	var observed []guard.Record
	g := newGuarded(guard.Options{Observe: func(_ context.Context, r guard.Record) { observed = append(observed, r) }})
	g.add("tool", guard.Viewer, true, answering("done"))
	g.add("managers", guard.Manager, true, answering("done"))
	kim := person("kim@example.com")
	call(t, g.as(t, kim), "tool", nil)
	call(t, g.as(t, second(kim)), "managers", nil)

	records := g.records(t, "tool call")
	require.Len(t, records, 2)
	for n, subject := range []string{kim.Subject, "another"} {
		assert.Equal(t, "kim@example.com", records[n]["caller"])
		assert.Equal(t, "https://login.example.com", records[n]["issuer"])
		assert.Equal(t, subject, records[n]["subject"])
	}
	last := observed[len(observed)-1]
	assert.Equal(t, [2]string{kim.Issuer, "another"}, [2]string{last.Issuer, last.Subject})
}

func TestLimiter_CountsTwoWithTheSameAddressApart(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{CallsPerMinute: 1, Burst: 1}})
	g.add("tool", guard.Viewer, true, answering("done"))
	kim := person("kim@example.com")
	through := kim
	through.Via = "dev@agency.example"
	for _, c := range []struct {
		caller identity.Caller
		want   string
	}{
		{kim, "done"},
		{kim, "too many calls: 1 a minute are yours"},
		{through, "too many calls: 1 a minute are yours"},
		{second(kim), "done"},
	} {
		assert.Contains(t, text(call(t, g.as(t, c.caller), "tool", nil)), c.want)
	}
}
