package relay

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
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

// An answer to a registration names a URL to change it at.
func TestLogin_AnswersLeadToNoOtherClient(t *testing.T) {
	l := newLibrary(t)
	send := func(contentType, body, answer string) (*http.Response, string) {
		l.serve = func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.ReplaceAll(answer, "{here}", l.URL()))
		}
		r := l.request(t, http.MethodPost, "/acme/anything", body)
		r.Header.Set("Content-Type", contentType)
		return do(t, r)
	}
	const form, data = "application/x-www-form-urlencoded", "application/json"
	const registration = `{"redirect_uris":["{here}/globex/callback"],"client_name":"{here}/globex"}`
	register := strings.ReplaceAll(registration, "{here}", l.URL())
	for _, answer := range []string{
		`{"client_id":"x","registration_client_uri":"{here}/globex/x"}`, registration, `{"client_id":"x"`,
	} {
		resp, body := send(data, register, answer)
		assertRefused(t, resp, body, answer)
		resp, body = send(form, "grant_type=client_credentials&resource="+url.QueryEscape(l.URL()+"/globex/x"), answer)
		assertRefused(t, resp, body, answer)
	}
	for _, answer := range []string{
		`{"client_id":"x","redirect_uris":["{here}/globex/callback"],"registration_client_uri":"{here}/acme/x"}`, "",
	} {
		resp, body := send(data, register, answer)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, strings.ReplaceAll(answer, "{here}", l.URL()), body, "what the client came with is no news to it")
	}
	const token = `{"access_token":"{here}.a.b","token_type":"Bearer"}`
	resp, body := send(form, "grant_type=client_credentials", strings.ReplaceAll(token, "{here}", "x"))
	assert.Equal(t, http.StatusOK, resp.StatusCode, body)
}

// A document that the proxy never sees may name another client, too: what comes of it does
// not go to a server that has not asked for a login.
func TestLogin_GoesToNoServerThatHasNotAskedForOne(t *testing.T) {
	var arrived atomic.Int64
	server := upstream(t, func(http.ResponseWriter, *http.Request) { arrived.Add(1) })
	h := start(t, "acme="+server.URL)
	for body, contentType := range map[string]string{
		"grant_type=authorization_code&code=x": "application/x-www-form-urlencoded",
		"client_id=x&scope=y":                  "application/x-www-form-urlencoded; charset=utf-8",
		"token=x":                              "application/x-www-form-urlencoded",
		`{"client_name":"x","redirect_uris":["http://x"]}`:                  "application/json",
		`{"redirect_uris":[],"scope":"` + strings.Repeat("x", 1<<20) + `"}`: "text/plain",
	} {
		r := h.request(t, http.MethodPost, "/acme/mcp", body)
		r.Header.Set("Content-Type", contentType)
		resp, said := do(t, r)
		assert.Equal(t, http.StatusNotFound, resp.StatusCode)
		assert.Contains(t, said, "refused an OAuth request to acme")
	}
	assert.Zero(t, arrived.Load())
	assert.Zero(t, h.endpoint.Exchanges())
	for body, contentType := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"redirect_uris":["http://x"]}}`: "application/json",
		`{"jsonrpc":"2.0","redirect_uris":["http://x"]}`:                                         "application/json",
		`[{"redirect_uris":["http://x"]}]`:                                                       "application/json",
		`a=b`:                                                                                    "application/x-www-form-urlencoded",
		`grant_type=authorization_code, said the tool`:                                           "text/plain",
	} {
		before := arrived.Load()
		r := h.request(t, http.MethodPost, "/acme/mcp", body)
		r.Header.Set("Content-Type", contentType)
		resp, _ := do(t, r)
		assert.Equal(t, http.StatusOK, resp.StatusCode, body)
		assert.Equal(t, before+1, arrived.Load(), body)
	}
}
