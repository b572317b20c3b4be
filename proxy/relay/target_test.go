package relay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATargetIsAnOriginAndPerhapsABasePath(t *testing.T) {
	for given, want := range map[string]string{
		"https://acme-1.europe-west1.run.app":      "https://acme-1.europe-west1.run.app",
		"https://acme-1.europe-west1.run.app/":     "https://acme-1.europe-west1.run.app",
		"https://acme-1.europe-west1.run.app/mcp":  "https://acme-1.europe-west1.run.app",
		"https://acme-1.europe-west1.run.app/mcp/": "https://acme-1.europe-west1.run.app",
		"https://acme-1.europe-west1.run.app/sse":  "https://acme-1.europe-west1.run.app",
		"HTTPS://Acme.Example:443/a/b.c/mcp":       "https://acme.example/a/b.c",
		"https://acme.example:8443/mcp/v2":         "https://acme.example:8443/mcp/v2",
		"https://acme.example/amcp":                "https://acme.example/amcp",
		"https://[2001:DB8::1]:443":                "https://[2001:db8::1]",
		"http://localhost:8080/mcp":                "http://localhost:8080",
		"http://127.0.0.1:8080":                    "http://127.0.0.1:8080",
		"http://127.1.2.3:80":                      "http://127.1.2.3",
		"http://[::1]:8080":                        "http://[::1]:8080",
		"https://acme.example:":                    "https://acme.example",
	} {
		targets, err := ParseTargets([]string{"acme=" + given})
		require.NoError(t, err, given)
		require.Len(t, targets, 1)
		assert.Equal(t, "acme", targets[0].Name)
		assert.Equal(t, want, targets[0].URL(), given)
	}
}

func TestAWrongTargetIsNamedWithItsRemedy(t *testing.T) {
	for arg, want := range map[string]string{
		"https://acme.example":                 "write CLIENT=URL",
		"":                                     "write CLIENT=URL",
		"=https://acme.example":                `client "": use 1 to 63 of a-z`,
		"Acme=https://acme.example":            `client "Acme": use 1 to 63 of a-z`,
		"a/b=https://acme.example":             `argument 1: use 1 to 63 of a-z`,
		"-a=https://acme.example":              `client "-a": use 1 to 63 of a-z`,
		"mcp=https://acme.example":             `client "mcp": the name is a path`,
		"acme=":                                "has no host",
		"acme=acme.example":                    "has no host",
		"acme=https:acme.example":              "has no host",
		"acme=https:///mcp":                    "has no host",
		"acme=ftp://acme.example":              `the scheme "ftp": use https`,
		"acme=http://acme.example":             "unencrypted: use https",
		"acme=http://localhost.evil.example":   "unencrypted: use https",
		"acme=http://127.0.0.1.evil.example":   "unencrypted: use https",
		"acme=http://2130706433":               "unencrypted: use https",
		"acme=https://ada:secret@acme.example": "holds a user name or password",
		"acme=https://acme.example?x=1":        "holds a query",
		"acme=https://acme.example/?":          "holds a query",
		"acme=https://acme.example/#x":         "holds a fragment",
		"acme=https://acme.example/#":          "holds a fragment",
		"acme=https://acme.example/a/../b":     "has the path",
		"acme=https://acme.example/./mcp":      "has the path",
		"acme=https://acme.example//mcp":       "has the path",
		"acme=https://acme.example/%2e%2e":     "has the path",
		"acme=https://acme.example:port":       "cannot be read",
		"acme=https://ada:secret@x:port":       "cannot be read",
		"acme=https://secret@acme.example":     "holds a user name or password",
		"acme=https://acme.example?key=secret": "holds a query",
		"acme=https://acme.example#secret":     "holds a fragment",
		"acme=secret":                          "has no host",
		"acme=secret:secret":                   "has no host",
		"acme=ftp://secret@acme.example/a?b":   `URL "ftp://acme.example/a" has the scheme "ftp"`,
		"--token secret":                       "argument 1 has no =: write CLIENT=URL",
		"https://secret@acme.example":          "argument 1 has no =: write CLIENT=URL",
		"https://secret@acme.example?key=x":    "argument 1: use 1 to 63",
		"acme=https://ac me.example":           "cannot be read",
		"acme=https://äcme.example":            "neither a name nor an address",
		"acme=https://[fe80::1%25eth0]":        "neither a name nor an address",
		"acme=https://-acme.example":           "neither a name nor an address",
	} {
		targets, err := ParseTargets([]string{arg})
		require.Error(t, err, arg)
		assert.ErrorContains(t, err, want, arg)
		assert.NotContains(t, err.Error(), "secret")
		assert.Empty(t, targets)
	}
}

func TestAllProblemsOfTheTargetsAreToldAtOnce(t *testing.T) {
	targets, err := ParseTargets([]string{"A=http://x@acme.example/?q#f", "globex=https://globex.example", "globex=https://other.example", "nothing"})
	require.Error(t, err)
	assert.Equal(t, []string{
		`client "A": use 1 to 63 of a-z, 0-9 and -, starting with a letter or a digit`,
		`client "A": URL "http://acme.example/" would send your token unencrypted: use https (http is for this machine alone)`,
		`client "A": URL "http://acme.example/" holds a user name or password: leave it out, your Google login is used`,
		`client "A": URL "http://acme.example/" holds a query: leave it out`,
		`client "A": URL "http://acme.example/" holds a fragment: leave it out`,
		`client "globex" is given twice: give each client one URL`,
		`argument 4 has no =: write CLIENT=URL, such as acme=https://acme-123.europe-west1.run.app`,
	}, splitLines(err.Error()))
	assert.Equal(t, "https://globex.example", targets[0].URL(), "what is right is there for further checks")
}

func splitLines(s string) []string { return strings.Split(s, "\n") }
