package relay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay/logintest"
)

// throughBrowser is what an editor's user does.
func throughBrowser(t *testing.T) auth.AuthorizationCodeFetcher {
	return func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, args.URL, nil)
		if err != nil {
			return nil, err
		}
		resp, err := client(t).Do(r)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		back, err := resp.Location()
		if err != nil {
			return nil, err
		}
		return &auth.AuthorizationResult{Code: back.Query().Get("code"), State: back.Query().Get("state")}, nil
	}
}

// An editor that keeps to the specifications logs in to a server that has a login of its
// own, in each way that such a server may tell of it.
func TestAnEditorLogsInToAServerWithALoginOfItsOwn(t *testing.T) {
	logins := logintest.New(t)
	const document = "/.well-known/oauth-protected-resource"
	tests := map[string]struct {
		base      string // path of the server
		challenge string // resource_metadata, behind the server's origin; "" for none
		at        string // path of the document
		resource  string // that the document names; "" is the server's own URL
		connect   string // path that the editor uses
		alone     bool
		secret    string
	}{
		"that names the document":          {challenge: document + "/mcp", at: document + "/mcp", connect: "/acme/mcp"},
		"that names nothing":               {at: document + "/mcp", connect: "/acme/mcp"},
		"alone":                            {at: document + "/mcp", connect: "/mcp", alone: true},
		"alone, by its name":               {challenge: document + "/mcp", at: document + "/mcp", connect: "/acme/mcp", alone: true},
		"below a path":                     {base: "/base", challenge: document + "/base/mcp", at: document + "/base/mcp", connect: "/acme/mcp"},
		"below a path, with the document":  {base: "/base", challenge: "/base" + document, at: "/base" + document, connect: "/acme/mcp"},
		"behind a secret":                  {at: document + "/mcp", connect: "/acme/mcp", secret: "0123456789abcdefghij"},
		"that knows its URL here":          {at: document + "/mcp", resource: "http://localhost:3030/acme/mcp", connect: "/acme/mcp"},
		"that knows another of its URLs":   {at: document + "/mcp", resource: "http://127.0.0.1:3030/mcp", connect: "/acme/mcp"},
		"that thinks it has a name, alone": {at: document + "/mcp", resource: "http://localhost:3030/acme/mcp", connect: "/mcp", alone: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var here string // what the editor calls the server
			sdk := mcp.NewServer(&mcp.Implementation{Name: "portal", Version: "1"}, nil)
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			options := &auth.RequireBearerTokenOptions{}
			if test.challenge != "" {
				options.ResourceMetadataURL = server.URL + test.challenge
			}
			verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
				if token != logintest.TokenFor(here) {
					return nil, fmt.Errorf("%w: the token is %q", auth.ErrInvalidToken, token)
				}
				return &auth.TokenInfo{Expiration: time.Now().Add(time.Hour)}, nil
			}
			mux.Handle(test.base+"/mcp", auth.RequireBearerToken(verify, options)(
				mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return sdk }, &mcp.StreamableHTTPOptions{Stateless: true})))
			resource := test.resource
			if resource == "" {
				resource = server.URL + test.base + "/mcp"
			}
			mux.Handle(test.at, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
				Resource: resource, AuthorizationServers: []string{logins.URL}, ResourceName: "a portal",
			}))

			args := []string{"acme=" + server.URL + test.base}
			if !test.alone {
				args = append(args, "globex="+server.URL)
			}
			h := startWith(t, Options{Targets: parse(t, args...), Secret: test.secret}, nil)
			here = h.URL() + test.connect
			editor, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
				PreregisteredClient:      &oauthex.ClientCredentials{ClientID: "editor"},
				RedirectURL:              "http://localhost:1/callback",
				AuthorizationCodeFetcher: throughBrowser(t),
				Client:                   client(t),
			})
			require.NoError(t, err)
			session, err := mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
				&mcp.StreamableClientTransport{Endpoint: here, HTTPClient: client(t), OAuthHandler: editor, DisableStandaloneSSE: true}, nil)
			require.NoError(t, err)
			assert.Equal(t, "portal", session.InitializeResult().ServerInfo.Name)
			if err := session.Close(); err != nil && !errors.Is(err, context.Canceled) {
				assert.NoError(t, err)
			}
		})
	}
}

func TestMetadataThatAreNotAboutTheServerStayAsTheyAre(t *testing.T) {
	var metadata string
	server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/mcp" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"1"`)
		fmt.Fprint(w, metadata)
	})
	h := start(t, "acme="+server.URL, "globex=http://127.0.0.1:1")
	resp, _ := do(t, h.request(t, http.MethodPost, "/acme/mcp", call))
	require.Equal(t, http.StatusUnauthorized, resp.StatusCode)

	here := h.URL() + "/acme"
	for given, want := range map[string]string{
		`{"resource":"` + server.URL + `","x":[1]}`:                       `{"resource":"` + here + `","x":[1]}`,
		`{"resource":"` + server.URL + `/","signed_metadata":"e30.e30."}`: `{"resource":"` + here + `/"}`,
		`{"resource":"https://evil.example/mcp"}`:                         "",
		`{"resource":"` + h.URL() + `/acme/mcp", "x":1}`:                  "",
		`{"resource":7}`: "",
		`{"x":"y"}`:      "",
		`["resource"]`:   "",
		"no JSON":        "",
	} {
		metadata = given
		if want == "" {
			want = given
		}
		resp, body := do(t, h.request(t, http.MethodGet, "/acme/.well-known/oauth-protected-resource", ""))
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, want, body)
		assert.Equal(t, want != given, resp.Header.Get("Etag") == "", given)
	}
}

// The whole attack, as an editor that keeps to the specifications meets it: by the documents
// of the server itself, and by those of an accomplice elsewhere.
func TestAnEditorsLoginReachesNoOtherClient(t *testing.T) {
	for name, accomplice := range map[string]bool{"by the server's documents": false, "by an accomplice's documents": true} {
		t.Run(name, func(t *testing.T) {
			logins := logintest.New(t)
			var proxy string
			metadata := func(issuer string) string {
				return `{"issuer":"` + issuer + `","authorization_endpoint":"` + logins.URL + `/authorize","response_types_supported":["code"],` +
					`"registration_endpoint":"` + proxy + `/globex/mcp","token_endpoint":"` + proxy + `/globex/token",` +
					`"code_challenge_methods_supported":["S256"],"token_endpoint_auth_methods_supported":["none"]}`
			}
			var elsewhere *httptest.Server
			elsewhere = upstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, metadata(elsewhere.URL))
			})
			server := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.URL.Path == "/mcp":
					w.WriteHeader(http.StatusUnauthorized)
				case strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") && accomplice:
					fmt.Fprint(w, `{"resource":"`+proxy+`/acme/mcp","authorization_servers":["`+elsewhere.URL+`"]}`)
				case strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource"):
					fmt.Fprint(w, `{"resource":"`+proxy+`/acme/mcp","authorization_servers":["`+proxy+`/acme"]}`)
				default:
					fmt.Fprint(w, metadata(proxy+"/acme"))
				}
			})
			foreign := upstream(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s", r.Method, r.URL) })
			h := start(t, "acme="+server.URL, "globex="+foreign.URL)
			proxy = h.URL()
			editor, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
				DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
					Metadata: &oauthex.ClientRegistrationMetadata{ClientName: "editor", RedirectURIs: []string{"http://localhost:1/callback"}},
				},
				RedirectURL:              "http://localhost:1/callback",
				AuthorizationCodeFetcher: throughBrowser(t),
				Client:                   client(t),
			})
			require.NoError(t, err)
			_, err = mcp.NewClient(&mcp.Implementation{Name: "editor", Version: "1"}, nil).Connect(t.Context(),
				&mcp.StreamableClientTransport{Endpoint: proxy + "/acme/mcp", HTTPClient: client(t), OAuthHandler: editor, DisableStandaloneSSE: true}, nil)
			require.Error(t, err)
			h.halt()
			if accomplice {
				assert.Contains(t, h.log.String(), "refused an OAuth request to globex")
			} else {
				assert.Contains(t, h.log.String(), "refused a document of the server of acme")
			}
		})
	}
}
