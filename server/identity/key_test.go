package identity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
)

func TestCaller_KeyIsIssuerAndSubject(t *testing.T) {
	ada := identity.Caller{Issuer: "https://login.example.com", Subject: "7", Email: "ada@example.com", Mode: identity.ModeOIDC}
	assert.Equal(t, "https://login.example.com#7", ada.Key())
	renamed := ada
	renamed.Email, renamed.Groups, renamed.Via = "ada@new.example", []string{"staff"}, "dev@agency.example"
	assert.Equal(t, ada.Key(), renamed.Key(), "whatever else is said of them")

	keys := map[string]bool{ada.Key(): true}
	for _, other := range []identity.Caller{
		{Issuer: "https://login.example.com", Subject: "8", Email: "ada@example.com"},
		{Issuer: "https://login.example.net", Subject: "7", Email: "ada@example.com"},
		{Issuer: "https://login.example.com", Subject: "#7", Email: "ada@example.com"},
		{Issuer: "https://login.example.com", Subject: "7\n", Email: "ada@example.com"},
	} {
		assert.False(t, keys[other.Key()], "%+v", other)
		keys[other.Key()] = true
	}
	for _, nobody := range []identity.Caller{
		{}, {Email: "ada@example.com"}, {Issuer: "https://login.example.com"}, {Subject: "7"}, {Issuer: "https://login.example.com#", Subject: "7"},
	} {
		assert.Empty(t, nobody.Key(), "%+v", nobody)
		assert.False(t, nobody.Same(nobody), "nobody is not the same as nobody")
	}
}

func TestCaller_SameAsksForAllThatDecides(t *testing.T) {
	ada := identity.Caller{Issuer: "https://login.example.com", Subject: "7", Email: "ada@example.com", Groups: []string{"a", "b"}, Mode: identity.ModeOIDC}
	same := ada
	same.Groups = []string{"b", "a"}
	assert.True(t, ada.Same(same))
	for what, change := range map[string]func(*identity.Caller){
		"subject": func(c *identity.Caller) { c.Subject = "8" },
		"issuer":  func(c *identity.Caller) { c.Issuer = "https://login.example.net" },
		"address": func(c *identity.Caller) { c.Email = "ada@new.example" },
		"groups":  func(c *identity.Caller) { c.Groups = []string{"a"} },
		"door":    func(c *identity.Caller) { c.Via = "dev@agency.example" },
		"mode":    func(c *identity.Caller) { c.Mode = identity.ModeCloudRun },
	} {
		other := ada
		change(&other)
		assert.False(t, ada.Same(other), what)
	}
}

func TestCheckKey(t *testing.T) {
	for _, key := range []string{
		"https://accounts.google.com#117012345678901234567", "https://login.example.com/tenant#auth0|7", "http://127.0.0.1:4000#1", "dev#dev@localhost",
		"https://login.example.com#a#b",
	} {
		assert.NoError(t, identity.CheckKey(key), key)
	}
	for key, want := range map[string]string{
		"":                                    "write ISSUER#SUBJECT",
		"117012345678901234567":               "write ISSUER#SUBJECT",
		"accounts.google.com#1":               "write https://accounts.google.com",
		"#1":                                  `the issuer "" is not set`,
		"http://login.example.com#1":          "is not https",
		"https://ada:secret@login.example#1":  "user name",
		"https://login.example.com#":          "there is no subject",
		"https://login.example.com#\u212A":    "printable ASCII",
		"https://login.example.com?tenant#1":  "a query",
		"https://accounts.google.com\u200b#1": "other than ASCII",
	} {
		err := identity.CheckKey(key)
		require.ErrorContains(t, err, want, key)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestVerifier_SaysWhoseRecordsOfAnAddressAre(t *testing.T) {
	one, other := identitytest.NewIssuer(t), identitytest.NewIssuer(t)
	issuer := func(i *identitytest.Issuer, prefix string, domains ...string) identity.Issuer {
		return identity.Issuer{URL: i.URL, Audiences: []string{"berth"}, Domains: domains, GroupPrefix: prefix}
	}
	for name, c := range map[string]struct {
		config identity.OIDCConfig
		of     []bool // one's caller, and the other's
	}{
		"one issuer":                    {oidcOf(issuer(one, "")), []bool{true}},
		"several, of different domains": {oidcOf(issuer(one, "", "Example.com"), issuer(other, "o/", "other.example")), []bool{true}},
		"several, of the same domain":   {oidcOf(issuer(one, "", "example.com"), issuer(other, "o/", "other.example", "EXAMPLE.com")), []bool{false, false}},
		"several, and one named": {identity.OIDCConfig{
			Resource: "http://localhost:3030/acme/mcp", LegacyIssuer: other.URL,
			Issuers: []identity.Issuer{issuer(one, "", "example.com"), issuer(other, "o/", "example.com")},
		}, []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := identity.New(identity.Options{Mode: identity.ModeOIDC, Getenv: nowhere, OIDC: c.config})
			require.NoError(t, err)
			for n, want := range c.of {
				caller, err := v.Verify(request([2]string{authorization, "Bearer " + []*identitytest.Issuer{one, other}[n].Token(t, "kim@example.com", nil)}))
				require.NoError(t, err)
				assert.Equal(t, want, caller.ClaimsByEmail)
			}
		})
	}
	config := oidcOf(issuer(one, "", "bücher.example"))
	config.LegacyIssuer = "https://login.example.net"
	err := config.Check()
	assert.ErrorContains(t, err, `oidc.legacy_issuer: "https://login.example.net" is none of the issuers`)
	assert.ErrorContains(t, err, `oidc.issuers[0].domains[0]: "bücher.example" has characters other than ASCII`)
}
