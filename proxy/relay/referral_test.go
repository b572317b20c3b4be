package relay

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLocalLinks_LeadIntoTheirOwnTargetOrAway(t *testing.T) {
	rt := testRoute(t, "/acme/mcp")
	for links, want := range map[string]string{
		`<https://acme.example/base/x>; rel="next"`:            `</acme/x>; rel="next"`,
		`</base/x?a=b,c>;rel=next;title="a, b"`:                `</acme/x?a=b,c>;rel=next;title="a, b"`,
		`<https://login.example/x>; rel="a b" , <>; rel = "c"`: `<https://login.example/x>; rel="a b",</acme/mcp>; rel = "c"`,
		`<http://localhost:3030/acme/x>; crossorigin`:          `<http://localhost:3030/acme/x>; crossorigin`,
	} {
		got, err := rt.localLinks(links)
		require.NoError(t, err, links)
		assert.Equal(t, want, strings.TrimSpace(got), links)
	}
	for _, links := range []string{
		`</ok>`, // out of the target
		`</base/x>; rel=next, </globex/mcp>; rel=next`,
		`</base/x>; title="a, </globex/mcp>; rel=next"`,
		`</base/x>; title="a\", </globex/mcp>; rel=next"`,
		`</base/x>; anchor="http://localhost:3030/globex/mcp"`,
		`</base/x>; title=a</globex/mcp>`,
		`</base/x> </globex/mcp>`, `/globex/mcp`, `<</globex/mcp>>`, `</base/x>; title="a`,
	} {
		_, err := rt.localLinks(links)
		assert.ErrorIs(t, err, errSteered, links)
	}
	for _, ref := range toGlobex() {
		got, err := rt.localLinks("</base/x>,<" + ref + ">; rel=next")
		assert.ErrorIs(t, err, errSteered, "%q became %q", ref, got)
	}
}

func TestLocalChallenge_LeadsToNoOtherClient(t *testing.T) {
	rt := testRoute(t, "/acme/mcp")
	for _, challenge := range []string{
		`Bearer authorization_uri="http://localhost:3030/globex"`,
		`Bearer realm="http://127.0.0.1:3030/globex", error=x`,
		`Bearer as_uri=http://[::1]:3030/globex`,
		`Bearer error_uri='//localhost:3030/globex'`,
		`Bearer realm="ht\tp://local\host:3030/globex"`,
		`Bearer xresource_metadata="/globex/x"`, // as it is found by who looks for a part of a text
		`Bearer realm="resource_metadata=/globex/x"`,
		`Bearer resource_metadata="?resource_metadata=http://localhost:3030/globex/x"`,
		`Bearer resource_metadata="https://login.example/x", Bearer resource_metadata="/globex/x"`,
		`Bearer resource_metadata="ht\tp://localhost:3030/globex/x"`,
	} {
		got, err := rt.localChallenge(challenge)
		assert.ErrorIs(t, err, errSteered, "%s became %s", challenge, got)
	}
	for _, challenge := range []string{
		`Bearer`, `Basic realm="a, b"`, `Bearer realm="https://acme.example/base", error="invalid_token", scope="api://x/y z"`,
		`Bearer authorization_uri="https://login.microsoftonline.com/x/oauth2/authorize", resource_metadata="https://login.example/acme"`,
		`Bearer error_description="see http://localhost:3030/acme/help"`,
	} {
		got, err := rt.localChallenge(challenge)
		assert.NoError(t, err, challenge)
		assert.Equal(t, challenge, got)
	}
}

func TestHeaders_ThatNameURLsLeadToNoOtherClient(t *testing.T) {
	answer := http.Header{}
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		for name, values := range answer {
			w.Header()[name] = values
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	h := start(t, "acme="+server.URL+"/base", "globex=http://127.0.0.1:1")
	astray := h.URL() + "/globex/mcp"
	for name, values := range map[string][]string{
		"Location":         {astray, "/base/x"},
		"Content-Location": {astray, "/base/x"},
		"Link":             {"<" + astray + ">; rel=next"},
		"Www-Authenticate": {`Bearer authorization_uri="` + astray + `"`},
		"Refresh":          {"0; url=" + astray},
		"Sourcemap":        {astray},
		"X-Sourcemap":      {astray},
		"Alt-Svc":          {`h2="localhost:3030"`},
	} {
		answer = http.Header{name: values}
		resp, _ := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
		assert.Empty(t, resp.Header.Values(name), name)
	}
	answer = http.Header{
		"Location": {"/base/x"}, "Content-Location": {server.URL + "/base/y"},
		"Link": {"</base/x>; rel=next", "<" + astray + ">"}, "Www-Authenticate": {"Bearer", `Bearer x="` + astray + `"`},
	}
	resp, _ := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
	assert.Equal(t, []string{"/acme/x"}, resp.Header.Values("Location"))
	assert.Equal(t, []string{"/acme/y"}, resp.Header.Values("Content-Location"))
	assert.Equal(t, []string{"</acme/x>; rel=next"}, resp.Header.Values("Link"))
	assert.Equal(t, []string{"Bearer"}, resp.Header.Values("WWW-Authenticate"))
	h.halt()
	assert.Contains(t, h.log.String(), fmt.Sprintf("client=acme header=Www-Authenticate error=\"%v: it names the host localhost:%d\"", errSteered, h.Port()))
}
