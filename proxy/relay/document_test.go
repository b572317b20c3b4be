package relay

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A library is a server with a login of its own that answers everything but its endpoint in
// one way.
type library struct {
	*harness
	serve http.HandlerFunc
}

func newLibrary(t *testing.T) *library {
	l := &library{}
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/base/mcp" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		l.serve(w, r)
	})
	foreign := upstream(t, func(http.ResponseWriter, *http.Request) { t.Error("a request to another client") })
	l.harness = start(t, "acme="+server.URL+"/base", "globex="+foreign.URL)
	resp, _ := do(t, l.request(t, http.MethodPost, "/acme/mcp", call))
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	return l
}

// get asks for a path; the server answers with a document.
func (l *library) get(t *testing.T, path, document string) (*http.Response, string) {
	t.Helper()
	l.serve = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.ReplaceAll(document, "{here}", l.URL()))
	}
	return do(t, l.request(t, http.MethodGet, path, ""))
}

func assertRefused(t *testing.T, resp *http.Response, body, what string) {
	t.Helper()
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode, what)
	assert.True(t, strings.HasPrefix(body, "refused a document of the server of acme"), "%s: %s", what, body)
}

func TestDocument_LeadsToNoOtherClientFromAnyPathOrMember(t *testing.T) {
	l := newLibrary(t)
	for _, path := range []string{
		"/.well-known/oauth-protected-resource/acme/mcp", "/acme/.well-known/oauth-protected-resource",
		"/.well-known/oauth-authorization-server/acme", "/acme/.well-known/oauth-authorization-server",
		"/.well-known/openid-configuration/acme", "/acme/mcp/.well-known/openid-configuration",
		"/acme/.well-known/mcp", "/acme/.well-known/mcp.json", "/acme/.well-known/mcp/server-card.json?x=1", "/acme/%2ewell-known/x",
		"/acme/anything?berth-document", "/acme/anything?a=b&berth-document=&c",
	} {
		for name, document := range map[string]string{
			"a token endpoint":                 `{"issuer":"{here}/acme","token_endpoint":"{here}/globex/token?secret=hush"}`,
			"a registration endpoint":          `{"registration_endpoint":"{here}/globex/mcp"}`,
			"in a list":                        `{"authorization_servers":["https://login.example","{here}/globex"]}`,
			"at depth":                         `{"a":[{"b":[[{"c":"{here}/globex"}]]}]}`,
			"the root":                         `{"authorization_servers":["{here}"]}`,
			"first of two":                     `{"token_endpoint":"{here}/globex/token","token_endpoint":"{here}/acme/token"}`,
			"last of two":                      `{"token_endpoint":"{here}/acme/token","token_endpoint":"{here}/globex/token"}`,
			"with escapes":                     `{"token_endpoint":"` + strings.ReplaceAll(strings.ReplaceAll(l.URL(), "/", `\/`), "l", `\u006c`) + `\/globex"}`,
			"after a byte order mark":          "\ufeff" + `{"token_endpoint":"{here}/globex/token"}`,
			"with a metadata's own URL":        `{"resource":"{here}/acme/mcp","jwks_uri":"{here}/globex/jwks"}`,
			"a list alone":                     `["{here}/globex"]`,
			"a text alone":                     `"{here}/globex"`,
			"relative":                         `{"token_endpoint":"/globex/token"}`,
			"relative, with the target's dots": `{"token_endpoint":"../../../../../../globex/token"}`,
			"in space":                         `{"token_endpoint":"\u00a0\u200b\t{here}/globex\n"}`,
			"broken":                           `{"token_endpoint":"{here}/glo\tbex"}`,
			"signed":                           `{"signed_metadata":"` + signed(`{"token_endpoint":"`+l.URL()+`/globex"}`) + `"}`,
			"signed twice":                     `{"x":"` + signed(`{"y":"`+signed(`{"z":"`+l.URL()+`/globex"}`)+`"}`) + `"}`,
		} {
			resp, body := l.get(t, path, document)
			assertRefused(t, resp, body, path+": "+name)
		}
	}
	l.halt()
	log := l.log.String()
	assert.True(t, strings.Contains(log, "client=acme"))
	assert.True(t, strings.Contains(log, fmt.Sprintf("names the host localhost:%d: tell", l.Port())))
	assert.False(t, strings.Contains(log, "hush"))
}

func signed(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + "."
}

func TestDocument_LeadsToNoOtherClientInAnySpelling(t *testing.T) {
	for _, ref := range toGlobex() {
		for _, path := range []string{"/.well-known/oauth-protected-resource/acme/mcp", "/acme/.well-known/mcp"} {
			rt := testRoute(t, path)
			require.True(t, rt.document)
			if strings.Contains(ref, ":") || strings.HasPrefix(ref, "//") || strings.HasPrefix(ref, "/globex") {
				assert.ErrorIs(t, rt.checkString(ref, nil), errSteered, "%q in %s", ref, path)
			}
		}
	}
}

// An editor may resolve a relative reference against the address that it has of the server,
// and not against the document's.
func TestDocument_ClimbsToNoOtherClientFromAnyBase(t *testing.T) {
	for _, path := range []string{"/.well-known/oauth-protected-resource/acme/mcp", "/.well-known/openid-configuration/acme", "/acme/.well-known/mcp", "/acme/a/b/c?berth-document"} {
		rt := testRoute(t, path)
		for _, secret := range []string{"", "/a-Secret_0123456789"} {
			rt.gate = &gate{prefix: secret}
			for _, ref := range []string{"../globex/mcp", "../../globex", "x/../../globex/token", `..\globex/mcp`, "%2e%2e/.%2E/globex/mcp", ".\t./globex/mcp", "../globex?x", "..//globex/token"} {
				assert.ErrorIs(t, rt.checkString(ref, nil), errSteered, "%q in %s", ref, path)
				ref = strings.Replace(ref, "globex", strings.TrimPrefix(secret+"/globex", "/"), 1)
				assert.ErrorIs(t, rt.checkString(ref, nil), errSteered, "%q in %s", ref, path)
			}
			for _, ref := range []string{"../acme/token", "../docs/globex/x", "x/../globex.md", "globex", "..", "1/2"} {
				assert.NoError(t, rt.checkString(ref, nil), "%q in %s", ref, path)
			}
		}
	}
}

func TestDocument_PassesUnchangedIfItLeadsElsewhere(t *testing.T) {
	l := newLibrary(t)
	for _, document := range []string{
		`{"issuer":"https://login.microsoftonline.com/{tenantid}/v2.0","token_endpoint":"https://login.microsoftonline.com/common/oauth2/v2.0/token"}`,
		`{ "authorization_servers": ["https://dev-1.okta.com/oauth2/default"], "scopes_supported": ["api://berth/read", "globex", "openid"] }`,
		`{"issuer":"https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_X","n":1e999,"b":[true,null]}`,
		`{"token_endpoint":"{here}/acme/token","registration_endpoint":"http://127.0.0.1:` + strings.Split(l.URL(), ":")[2] + `/acme"}`,
		`{"authorization_servers":["http://localhost:9"]}`, // of a server on this machine
		`{"endpoint":"/mcp","description":"See docs/globex.md, or https://acme.example/. It's 1.2.3 // quick \\o/"}`,
		`{"x":"mailto:ada@acme.example","y":"urn:x","z":"//cdn.acme.example/x","access_token":"a.b.c","t":"` + signed(`{"aud":"https://acme.example"}`) + `"}`,
		`{}`, ``, `no JSON`, `<html><script>function f() {}</script>`, `<` + strings.Repeat("x{", maxDocument), `["x"]`,
		"\ufeff" + `{"issuer":"https://acme.example"}`,
	} {
		for _, path := range []string{"/.well-known/oauth-authorization-server/acme", "/acme/.well-known/mcp", "/acme/x?berth-document"} {
			resp, body := l.get(t, path, document)
			assert.Equal(t, http.StatusOK, resp.StatusCode, document)
			assert.Equal(t, strings.ReplaceAll(document, "{here}", l.URL()), body)
			assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
		}
	}
	const data = `{"url":"{here}/globex"}`
	resp, body := l.get(t, "/acme/data.json", data)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	assert.Equal(t, strings.ReplaceAll(data, "{here}", l.URL()), body, "what is no document is not read")
	l.serve = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"`+l.URL()+`/globex"}]}}`)
	}
	_, body = do(t, l.request(t, http.MethodPost, "/acme/.well-known/mcp", call))
	assert.Contains(t, body, l.URL()+"/globex", "the result of a tool")
}

// What the proxy cannot read, an editor may.
func TestDocument_IsRefusedIfItCannotBeReadWithCertainty(t *testing.T) {
	l := newLibrary(t)
	const good = `{"issuer":"https://acme.example"}`
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(good))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	wide := utf16.Encode([]rune(good))
	little, err := binary.Append(nil, binary.LittleEndian, wide)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		header http.Header
		body   string
	}{
		"compressed":            {http.Header{"Content-Encoding": {"gzip"}}, zipped.String()},
		"compressed, it says":   {http.Header{"Content-Encoding": {"identity", "br"}}, good},
		"too large":             {nil, `{"x":"` + strings.Repeat("x", maxDocument) + `"}`},
		"too large, in front":   {nil, strings.Repeat(" ", maxDocument) + good},
		"cut off":               {nil, good[:len(good)-1]},
		"two documents":         {nil, good + good},
		"a byte that is wrong":  {nil, `{"issuer":"https://acme.example` + "\xff" + `"}`},
		"with a comment":        {nil, "// hi\n" + good},
		"with a guard in front": {nil, ")]}'\n" + good},
		"with single quotes":    {nil, `{'issuer':'https://acme.example'}`},
		"with no number":        {nil, `{"x":NaN}`},
		"UTF-16":                {http.Header{"Content-Type": {"application/json; charset=utf-16le"}}, string(little)},
		"two byte order marks":  {nil, "\ufeff\ufeff" + good},
		"a text that says so":   {http.Header{"Content-Type": {"text/plain"}}, "{" + good},
		"a failure":             {http.Header{"X-Status": {"500"}, "Content-Type": {"application/json"}}, `{"x":"` + l.URL() + `/globex"}`},
	} {
		l.serve = func(w http.ResponseWriter, r *http.Request) {
			assert.Empty(t, r.Header.Get("Accept-Encoding")+r.Header.Get("Range"), name)
			for key, values := range test.header {
				w.Header()[key] = values
			}
			if test.header.Get("X-Status") != "" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = w.Write([]byte(test.body))
		}
		r := l.request(t, http.MethodGet, "/.well-known/oauth-authorization-server/acme", "")
		r.Header.Set("Accept-Encoding", "gzip")
		r.Header.Set("Range", "bytes=10-")
		resp, body := do(t, r)
		assertRefused(t, resp, body, name)
	}
}

// In another encoding the same bytes could say something else.
func TestDocument_IsReadByTheClientAsByTheProxy(t *testing.T) {
	l := newLibrary(t)
	for given, want := range map[string][]string{
		"application/json":                     {"application/json"},
		"application/json;charset=UTF-8":       {"application/json;charset=UTF-8"},
		"application/json; charset=utf-7":      {"application/json; charset=utf-8"},
		"text/plain; charset=iso-8859-1":       {"text/plain; charset=utf-8"},
		"application/json; charset=x; charset": {"application/json"},
	} {
		l.serve = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", given)
			fmt.Fprint(w, `{"issuer":"https://acme.example"}`)
		}
		resp, _ := do(t, l.request(t, http.MethodGet, "/.well-known/oauth-authorization-server/acme", ""))
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, want, resp.Header.Values("Content-Type"), given)
	}
}

// A server may keep its documents at any path, and move them.
func TestDocument_IsReadWhereverTheServerHasReferredTo(t *testing.T) {
	var challenge, location string
	var paths []string
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.RequestURI())
		switch {
		case r.URL.Path == "/mcp":
			w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+challenge+`"`)
			w.WriteHeader(http.StatusUnauthorized)
		case location != "":
			w.Header().Set("Location", location)
			location = ""
			w.WriteHeader(http.StatusFound)
		default:
			fmt.Fprintf(w, `{"authorization_servers":["http://%s/globex"]}`, r.Header.Get("X-Here"))
		}
	})
	h := start(t, "acme="+server.URL, "globex=http://127.0.0.1:1")
	follow := func(target string) (*http.Response, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		require.NoError(t, err)
		r.Header.Set("X-Here", r.URL.Host)
		return do(t, r)
	}
	for _, test := range []struct{ challenge, location, path string }{
		{server.URL + "/metadata", "", "/metadata"},
		{"/metadata?a=b", "", "/metadata?a=b"},
		{h.URL() + "/acme/metadata#x", "", "/metadata"},
		{"metadata", "elsewhere?c", "/elsewhere?c"},
		{"/.well-known/oauth-protected-resource/mcp", "/data.json", "/data.json"},
		{"/.well-known/oauth-protected-resource", server.URL + "/.well-known/other", "/.well-known/other"},
	} {
		challenge, location = test.challenge, test.location
		resp, _ := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
		named := resourceMetadata.FindStringSubmatch(resp.Header.Get("WWW-Authenticate"))
		require.NotNil(t, named, test.challenge)
		resp, body := follow(strings.Trim(named[1], `"`))
		if test.location != "" {
			require.Equal(t, http.StatusFound, resp.StatusCode)
			to, err := resp.Location()
			require.NoError(t, err)
			resp, body = follow(to.String())
		}
		assertRefused(t, resp, body, test.challenge)
		assert.Equal(t, test.path, paths[len(paths)-1], "the mark stays here")
	}
}

func TestCutDocumentMark_TakesNothingElseFromAQuery(t *testing.T) {
	for query, want := range map[string]string{
		"berth-document": "", "berth-document=": "", "a&berth-document&b=1": "a&b=1",
	} {
		rest, marked := cutDocumentMark(query)
		assert.True(t, marked, query)
		assert.Equal(t, want, rest, query)
	}
	for _, query := range []string{"", "a=b&&c", "x=berth-document", "berth-documents", "berth-document=1", "Berth-Document"} {
		rest, marked := cutDocumentMark(query)
		assert.False(t, marked, query)
		assert.Equal(t, query, rest)
	}
}
