package relay

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAServersOwnLoginIsFoundThroughTheProxy(t *testing.T) {
	var challenge string
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/base/mcp" || r.Header.Get("Authorization") == "Bearer of-the-server" {
			fmt.Fprint(w, "at ", r.URL.Path)
			return
		}
		w.Header().Add("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	})
	h := start(t, "acme="+server.URL+"/base", "globex="+server.URL)
	asks := func(path string) (int, string) {
		resp, body := do(t, h.request(t, http.MethodGet, path, ""))
		return resp.StatusCode, body
	}
	const metadata = "/.well-known/oauth-protected-resource"
	status, _ := asks("/acme" + metadata)
	assert.Equal(t, http.StatusNotFound, status, "before it has asked for a login")

	for given, want := range map[string]string{
		`Bearer resource_metadata="` + server.URL + `/base` + metadata + `", scope="a b"`: `Bearer resource_metadata="` + h.URL() + `/acme` + metadata + `", scope="a b"`,
		`Bearer error="x", Resource_Metadata = /base` + metadata:                          `Bearer error="x", Resource_Metadata="` + h.URL() + `/acme` + metadata + `"`,
		`Bearer resource_metadata="https://login.example/acme"`:                           `Bearer resource_metadata="https://login.example/acme"`,
		`Bearer resource_metadata="` + h.URL() + `/globex` + metadata + `"`:               "", // into another client's server
		`Bearer resource_metadata="/outside"`:                                             "",
		// As one says it that was given the URL which editors use.
		`Bearer resource_metadata="http://localhost:3030` + metadata + `/acme/mcp"`:   `Bearer resource_metadata="` + h.URL() + metadata + `/acme/mcp"`,
		`Bearer resource_metadata="` + h.URL() + metadata + `/globex/mcp"`:            `Bearer resource_metadata="` + h.URL() + metadata + `/acme/globex/mcp"`,
		`Bearer resource_metadata="` + server.URL + metadata + `/base/mcp"`:           `Bearer resource_metadata="` + h.URL() + metadata + `/acme/mcp"`,
		`Bearer resource_metadata="https://elsewhere.example` + metadata + `/base/x"`: `Bearer resource_metadata="https://elsewhere.example` + metadata + `/base/x"`,
	} {
		challenge = given
		resp, _ := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
		assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
		assert.Equal(t, want, resp.Header.Get("WWW-Authenticate"), given)
	}
	assert.Equal(t, 1, h.endpoint.Exchanges(), "the platform's token is not to blame")

	status, body := asks("/acme" + metadata)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "at /base"+metadata, body)
	status, _ = asks("/acme/register")
	assert.Equal(t, http.StatusOK, status)
	for _, path := range []string{"/globex" + metadata, "/globex/register", metadata} {
		status, _ = asks(path)
		assert.Equal(t, http.StatusNotFound, status, "%s is not that server's", path)
	}
	r := h.request(t, http.MethodPost, "/acme/mcp", call)
	r.Header.Set("Authorization", "Bearer of-the-server")
	_, body = do(t, r)
	assert.Equal(t, "at /base/mcp", body)

	h.SetTargets(parse(t, "acme="+server.URL+"/base", "hooli="+server.URL))
	status, _ = asks("/acme" + metadata)
	assert.Equal(t, http.StatusOK, status, "a reload interrupts no login")
	h.SetTargets(parse(t, "acme="+server.URL+"/other"))
	status, _ = asks("/acme" + metadata)
	assert.Equal(t, http.StatusNotFound, status, "another server has not asked for a login")
}

func TestThePlatformsRefusalStartsNoLogin(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized) })
	h := start(t, "acme="+server.URL)
	do(t, h.request(t, http.MethodPost, "/mcp", call))
	resp, _ := do(t, h.request(t, http.MethodGet, "/.well-known/oauth-protected-resource", ""))
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
}
