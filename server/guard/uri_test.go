package guard_test

import (
	"context"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/plaintext/plaintexttest"
	"github.com/berth-mcp/berth/server/guard"
)

// A handler that decodes what it is asked for must not read for a viewer what has a role
// of its own under another spelling.
func TestGuard_AsksForTheRoleOfEverySpellingOfAURI(t *testing.T) {
	g := newGuarded(guard.Options{})
	for uri, needs := range map[string]guard.Role{"files://all/secret.txt": guard.Admin, "files://all/open.txt": guard.Viewer} {
		g.guard.AddResource(needs, &mcp.Resource{URI: uri, Name: "x"}, resourceHandler(nothing))
	}
	for template, needs := range map[string]guard.Role{
		"files://all/{+path}": guard.Viewer, "files://all/managers/{name}": guard.Manager, "{+anything}": guard.Viewer,
	} {
		g.guard.AddResourceTemplate(needs, &mcp.ResourceTemplate{URITemplate: template, Name: "x"}, resourceHandler(nothing))
	}
	session := g.as(t, person("ada@example.com"))
	for name, c := range map[string]struct{ uri, want string }{
		"a resource":                     {"files://all/open.txt", ""},
		"by a template":                  {"files://all/other.txt", ""},
		"with an encoded space":          {"files://all/a%20b.txt", ""},
		"a resource of another's":        {"files://all/secret.txt", "files://all/secret.txt is for the role admin"},
		"an encoded letter":              {"files://all/%73ecret.txt", "files://all/secret.txt is for the role admin"},
		"an encoded separator":           {"files://all%2Fsecret.txt", "files://all/secret.txt is for the role admin"},
		"encoded twice":                  {"files://all/%2573ecret.txt", "files://all/secret.txt is for the role admin"},
		"a dot segment":                  {"files://all/x/../secret.txt", "files://all/secret.txt is for the role admin"},
		"an encoded dot segment":         {"files://all/x/%2e%2e/secret.txt", "files://all/secret.txt is for the role admin"},
		"a doubled slash":                {"files://all//secret.txt", "files://all/secret.txt is for the role admin"},
		"a slash at the end":             {"files://all/secret.txt/", "files://all/secret.txt is for the role admin"},
		"a fragment":                     {"files://all/secret.txt#x", "files://all/secret.txt is for the role admin"},
		"a query":                        {"files://all/secret.txt?x=1", "files://all/secret.txt is for the role admin"},
		"an encoded query":               {"files://all/secret.txt%3Fx", "files://all/secret.txt is for the role admin"},
		"a scheme in capitals":           {"FILES://all/secret.txt", "files://all/secret.txt is for the role admin"},
		"a host in capitals":             {"files://ALL/secret.txt", "files://all/secret.txt is for the role admin"},
		"two templates":                  {"files://all/managers/x", "files://all/managers/{name} is for the role manager"},
		"another spelling of a template": {"files://all/x/../managers/x", "files://all/managers/{name} is for the role manager"},
		"the template itself":            {"files://all/managers/{name}", "not found"},
		"nothing":                        {"", ""},
		"no URI":                         {"a b", "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			err := reading(itself)(t, session, c.uri)
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.want)
			}
		})
	}
}

// The library would take a resource of exactly that URI first, so that one which only
// looks the same to the guard must not make a URI known.
func TestGuard_DoesNotKnowAURIByItsLooks(t *testing.T) {
	g := newGuarded(guard.Options{})
	g.guard.AddResource(guard.Viewer, &mcp.Resource{URI: "files://all/open.txt", Name: "x"}, resourceHandler(nothing))
	session := g.as(t, person("ada@example.com"))
	stray := "FILES://all/open.txt"
	guard.ServerOf(g.guard).AddResource(&mcp.Resource{URI: stray, Name: "x"}, resourceHandler(func() { t.Error("it was read") }))
	assert.ErrorContains(t, reading(itself)(t, session, stray), "not found")
}

func FuzzURI(f *testing.F) {
	g := newGuarded(guard.Options{Limits: guard.Limits{CallsPerMinute: 1e6, Burst: 1e6}})
	g.guard.AddResource(guard.Admin, &mcp.Resource{URI: "files://all/secret.txt", Name: "x"}, resourceHandler(nothing))
	g.guard.AddResourceTemplate(guard.Viewer, &mcp.ResourceTemplate{URITemplate: "files://all/{+path}", Name: "x"}, resourceHandler(nothing))
	session := g.as(f, person("ada@example.com"))
	f.Add("files://all/%73ecret.txt")
	f.Add("files://all/./%25%32%35")
	f.Fuzz(func(t *testing.T, uri string) {
		_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		if err != nil {
			assert.NotContains(t, err.Error(), "internal error")
			return
		}
		assert.True(t, strings.HasPrefix(uri, "files://all/"))
		assert.NotEqual(t, "files://all/secret.txt", uri)
	})
}

// An answer that cannot be written ends the session.
func TestGuard_AnswersWhoAsksForAURIOfControlCharacters(t *testing.T) {
	g := newGuarded(guard.Options{Limits: guard.Limits{Burst: 1000}})
	g.guard.AddResourceTemplate(guard.Viewer, &mcp.ResourceTemplate{URITemplate: "files://{name}", Name: "x"},
		func(context.Context, *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return nil, mcp.ResourceNotFoundError("decoded: \x1b")
		})
	session := g.as(t, person("ada@example.com"))
	uris := []string{"files://handled"}
	for _, attack := range plaintexttest.InUTF8() {
		uris = append(uris, attack.Text, "files://"+attack.Text)
	}
	for _, uri := range uris {
		_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		assert.ErrorContains(t, err, "not found", "%q", uri)
		require.NoError(t, session.Ping(t.Context(), nil), "the session goes on after %q", uri)
	}
}
