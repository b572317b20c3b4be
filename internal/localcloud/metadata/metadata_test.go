package metadata_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/idtoken"
	gcemetadata "cloud.google.com/go/compute/metadata"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/leaktest"
	"github.com/berth-mcp/berth/internal/localcloud/identity"
	"github.com/berth-mcp/berth/internal/localcloud/metadata"
)

const email = "server@acme-dev.iam.gserviceaccount.com"

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

// start starts a server for an instance of the account, and has Google's
// libraries in this process find it.
func start(t *testing.T) (*metadata.Server, *identity.Directory) {
	t.Helper()
	people, err := identity.New(identity.Options{Issuer: "http://127.0.0.1:1"})
	require.NoError(t, err)
	require.NoError(t, people.AddServiceAccount(email))
	server, err := metadata.Start(metadata.Instance{
		ID: "00ff", ProjectID: "acme-dev", ProjectNumber: 4711, Region: "europe-west1", Account: email,
	}, people)
	require.NoError(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		require.NoError(t, server.Close())
	})
	t.Setenv("GCE_METADATA_HOST", server.Addr())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	return server, people
}

// client keeps no connections, so that none is left over.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	return &http.Client{Transport: transport}
}

func TestGooglesLibrariesFindTheAccount(t *testing.T) {
	_, people := start(t)
	ctx := t.Context()

	asked := gcemetadata.NewClient(client(t))
	for want, ask := range map[string]func() (string, error){
		"acme-dev": func() (string, error) { return asked.ProjectIDWithContext(ctx) },
		"4711":     func() (string, error) { return asked.NumericProjectIDWithContext(ctx) },
		"00ff":     func() (string, error) { return asked.InstanceIDWithContext(ctx) },
		email:      func() (string, error) { return asked.EmailWithContext(ctx, "default") },
		"projects/4711/regions/europe-west1": func() (string, error) {
			return asked.GetWithContext(ctx, "instance/region")
		},
	} {
		got, err := ask()
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}

	creds, err := credentials.DetectDefault(&credentials.DetectOptions{
		Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}, Client: client(t),
	})
	require.NoError(t, err)
	token, err := creds.Token(ctx)
	require.NoError(t, err)
	who, err := people.Authenticate(token.Value)
	require.NoError(t, err)
	assert.Equal(t, email, who)

	ids, err := idtoken.NewCredentials(&idtoken.Options{Audience: "https://b.example", Client: client(t)})
	require.NoError(t, err)
	token, err = ids.Token(ctx)
	require.NoError(t, err)
	claims, err := people.VerifyIDToken(ctx, token.Value)
	require.NoError(t, err)
	assert.Equal(t, email, claims.Email)
	assert.Equal(t, []string{"https://b.example"}, claims.Audience)
}

func TestRequests(t *testing.T) {
	server, people := start(t)
	const accounts = "/computeMetadata/v1/instance/service-accounts/"
	mine := http.Header{"Metadata-Flavor": {"Google"}}
	for title, tt := range map[string]struct {
		path   string
		header http.Header
		code   int
		says   string
	}{
		"whether it is there needs no header":    {"/", nil, 200, "computeMetadata/"},
		"a token without the header":             {accounts + "default/token", nil, 403, "Missing required header: Metadata-Flavor: Google"},
		"a token with another flavor":            {accounts + "default/token", http.Header{"Metadata-Flavor": {"google"}}, 403, "Missing required header"},
		"a token that was asked for by a proxy":  {accounts + "default/token", http.Header{"Metadata-Flavor": {"Google"}, "X-Forwarded-For": {"10.0.0.1"}}, 403, "forwarded"},
		"a token of another account":             {accounts + "other@acme-dev.iam.gserviceaccount.com/token", mine, 404, "has no account"},
		"the account by its e-mail":              {accounts + email + "/email", mine, 200, email},
		"all accounts":                           {accounts, mine, 200, "default/\n" + email + "/\n"},
		"the account with everything about it":   {accounts + "default/?recursive=true", mine, 200, `"aliases":["default"]`},
		"an ID token for nobody":                 {accounts + "default/identity", mine, 400, "audience parameter required"},
		"what there is not":                      {"/computeMetadata/v1/instance/attributes/ssh-keys", mine, 404, ""},
		"the credentials of an old metadata API": {"/0.1/meta-data/service-accounts/default/acquire", mine, 404, ""},
	} {
		t.Run(title, func(t *testing.T) {
			code, body, header := get(t, server, tt.path, tt.header)
			assert.Equal(t, tt.code, code, body)
			assert.Contains(t, body, tt.says)
			assert.Equal(t, "Google", header.Get("Metadata-Flavor"))
		})
	}
	t.Run("an account that was deleted gets no tokens", func(t *testing.T) {
		require.NoError(t, people.RemoveServiceAccount(email))
		for _, path := range []string{"token", "identity?audience=x"} {
			code, body, _ := get(t, server, accounts+"default/"+path, mine)
			assert.Equal(t, 404, code)
			assert.Contains(t, body, "gets no tokens")
		}
	})
}

func TestItListensOnLoopbackAlone(t *testing.T) {
	server, _ := start(t)
	assert.True(t, strings.HasPrefix(server.Addr(), "127.0.0.1:"))
}

func get(t *testing.T, server *metadata.Server, path string, header http.Header) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Addr()+path, nil)
	require.NoError(t, err)
	if header != nil {
		req.Header = header.Clone()
	}
	resp, err := client(t).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body), resp.Header
}
