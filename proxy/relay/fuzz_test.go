package relay

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/address"
)

// leadsAstray reports whether a reference, resolved as a client does it, leads to this proxy
// and there to another client.
func leadsAstray(rt route, ref string) bool {
	to, err := rt.local.Parse(ref)
	if err != nil || to.Scheme != "http" || to.Port() != "3030" || !address.IsLoopback(to.Hostname()) {
		return false
	}
	_, path := splitDocument(to.EscapedPath())
	return path == "/globex" || strings.HasPrefix(path, "/globex/")
}

// Whatever a server refers to, resolved as a client does it, is the proxy's business below
// the client's own name alone.
func FuzzNoReferenceLeadsToAnotherClient(f *testing.F) {
	for _, ref := range append(toGlobex(),
		"http://localhost:1/.well-known/oauth-protected-resource/globex/mcp",
		"https://acme.example/.well-known/oauth-protected-resource/base/mcp", "http://[::1]/.well-known/openid-configuration/acme/../globex", "//0",
	) {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		rt := testRoute(t, "/acme/mcp")
		for _, localise := range []func(string) (string, error){rt.toLocal, rt.localDocument} {
			got, err := localise(ref)
			if err != nil {
				continue
			}
			to, err := rt.local.Parse(got)
			require.NoError(t, err, "%q became %q", ref, got)
			if to.Scheme != "http" || to.Port() != "3030" || !address.IsLoopback(to.Hostname()) {
				continue
			}
			_, path := splitDocument(to.EscapedPath())
			assert.Regexp(t, `^/acme(/|$)`, path, "%q became %q", ref, got)
		}
		for name, localise := range map[string]func(string) (string, error){
			`(?:^|, )<([^>]*)>`:           rt.localLinks,
			`resource_metadata="([^"]*)"`: rt.localChallenge,
		} {
			for _, header := range []string{ref, "<" + ref + ">; rel=next", `Bearer resource_metadata="` + ref + `"`, "Bearer resource_metadata=" + ref} {
				got, err := localise(header)
				if err != nil {
					continue
				}
				for _, found := range regexp.MustCompile(name).FindAllStringSubmatch(got, -1) {
					assert.False(t, leadsAstray(rt, found[1]), "%q became %q", header, got)
				}
			}
		}
	})
}

// No document that passes has a string in it that leads a client to another.
func FuzzNoDocumentLeadsToAnotherClient(f *testing.F) {
	for _, ref := range toGlobex() {
		quoted, err := json.Marshal(ref)
		require.NoError(f, err)
		f.Add([]byte(`{"issuer":"https://acme.example","authorization_servers":[` + string(quoted) + `]}`))
		f.Add(quoted)
	}
	f.Add([]byte(`{"a":"\u002fglobex","a":{"b":[["http:\/\/localhost:3030\/globex"]]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		rt := testRoute(t, "/acme/.well-known/oauth-authorization-server")
		resp := &http.Response{Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text))}
		if rt.checkDocument(resp, nil) != nil {
			return
		}
		passed, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var document any
		if json.Unmarshal(bytes.TrimPrefix(passed, []byte("\ufeff")), &document) == nil {
			assertHarmless(t, rt, document)
		}
	})
}

func assertHarmless(t *testing.T, rt route, value any) {
	switch v := value.(type) {
	case string:
		// A text without a slash is a reference only to somebody who takes every text for one.
		assert.False(t, strings.Contains(v, "/") && leadsAstray(rt, v), "%q", v)
	case []any:
		for _, inner := range v {
			assertHarmless(t, rt, inner)
		}
	case map[string]any:
		for _, inner := range v {
			assertHarmless(t, rt, inner)
		}
	}
}
