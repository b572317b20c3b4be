package doctor

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEncryptedCredentialIsNotLookedAtAndThatIsSaid(t *testing.T) {
	machine(t)
	_, found := signIn(t.Context(), stack{name: "acme", settings: map[string]any{
		"gcp:accessToken": map[string]any{"secure": "v1:abc"},
	}})
	f := about(t, found, "login")
	assert.Equal(t, warning, f.Status)
	assert.Equal(t, []string{"export GOOGLE_OAUTH_ACCESS_TOKEN=$(pulumi config get gcp:accessToken --stack acme)"}, f.Mend)
}

func TestALoginThatIsMissingOrBrokenIsSaid(t *testing.T) {
	home := machine(t)
	file := filepath.Join(home, "gcloud", "application_default_credentials.json")
	for name, content := range map[string]string{"missing": "", "not JSON": "{", "of no kind": `{"type":"nonsense"}`} {
		t.Run(name, func(t *testing.T) {
			if content != "" {
				t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
				write(t, file, content)
			}
			l, found := signIn(t.Context(), stack{})
			assert.Nil(t, l)
			f := found[len(found)-1]
			assert.Equal(t, wrong, f.Status)
			assert.Equal(t, []string{logIn}, f.Mend)
		})
	}
}

// A secret in the place of a path is in no report.
func TestDoctor_DoesNotRepeatWhatIsNoPath(t *testing.T) {
	const key = `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvTOPSECRETKEYBYTES\n-----END PRIVATE KEY-----\n"}`
	for _, value := range []string{key, strings.ReplaceAll(key, `\n`, "\n"), base64.StdEncoding.EncodeToString([]byte(key)), "correct-horse-battery"} {
		for _, variable := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_HOME", "PULUMI_CREDENTIALS_PATH"} {
			machine(t)
			t.Setenv(variable, value)
			_, found := signIn(t.Context(), stack{})
			found = append(found, backend(stack{root: t.TempDir()})...)
			found = append(found, passphrase(stack{}, "gs://state"))
			all := fmt.Sprint(found)
			assert.Contains(t, all, variable+": must be the path of a ")
			assert.NotContains(t, all, value)
			assert.NotContains(t, all, "TOPSECRET")
		}
		t.Setenv("GOOGLE_CREDENTIALS", base64.StdEncoding.EncodeToString([]byte(key)))
		_, found := signIn(t.Context(), stack{})
		assert.Contains(t, fmt.Sprint(found), "gcp:credentials: must be the path of a file")
		assert.NotContains(t, fmt.Sprint(found), os.Getenv("GOOGLE_CREDENTIALS"))
	}
}

// nobody is a login that is never used.
var nobody = auth.NewCredentials(&auth.CredentialsOptions{TokenProvider: unused{}})

type unused struct{ auth.TokenProvider }

func TestATokenGoesInTheClearToThisMachineAlone(t *testing.T) {
	for endpoint, good := range map[string]bool{
		"https://run.example.com/v2/": true, "http://127.0.0.1:80/": true, "http://localhost/": true, "http://[::1]:80/": true,
		"http://run.example.com/": false, "http://10.0.0.1/": false, "ftp://127.0.0.1/": false, "run": false, "http://127.0.0.1.example.com/": false,
	} {
		assert.Equal(t, good, safe(endpoint) == nil, endpoint)
	}
	_, err := newGoogle(t.Context(), stack{settings: map[string]any{"gcp:iamCustomEndpoint": "http://attacker.example/"}}, &login{credentials: nobody})
	require.ErrorContains(t, err, "gcp:iamCustomEndpoint")
}

func TestALoginTellsWhoseItIs(t *testing.T) {
	person := &auth.Token{Metadata: map[string]any{"id_token": tokentest.JWT(map[string]any{"email": "ada@example.com", "iss": "https://accounts.google.com", "aud": "x", "exp": 4102444800})}}
	for name, test := range map[string]struct {
		file   string
		tok    *auth.Token
		member string
		source string
	}{
		"a person's":                       {`{"type":"authorized_user"}`, person, "user:ada@example.com", "gcloud auth application-default login"},
		"a person's without an address":    {`{"type":"authorized_user"}`, &auth.Token{}, "", "gcloud auth application-default login"},
		"a service account's key":          {`{"type":"service_account","client_email":"ci@p.iam.gserviceaccount.com"}`, &auth.Token{}, "serviceAccount:ci@p.iam.gserviceaccount.com", "key"},
		"another cloud's workload":         {`{"type":"external_account"}`, &auth.Token{}, "", "external_account"},
		"the machine's, which has no file": {``, &auth.Token{}, "", "virtual machine"},
	} {
		t.Run(name, func(t *testing.T) {
			member, source := whose([]byte(test.file), test.tok)
			assert.Equal(t, test.member, member)
			assert.Contains(t, source, test.source)
		})
	}
}

func TestAPersonsLoginShouldNameAQuotaProject(t *testing.T) {
	machine(t)
	login := func(more string) *auth.Credentials {
		creds, err := credentials.NewCredentialsFromJSON(credentials.AuthorizedUser,
			[]byte(`{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r"`+more+`}`), &credentials.DetectOptions{})
		require.NoError(t, err)
		return creds
	}
	s := stack{settings: map[string]any{"gcp:project": "acme-prod"}}
	found := quotaProject(t.Context(), s, login(""))
	assert.Equal(t, []string{"gcloud auth application-default set-quota-project acme-prod"}, about(t, found, "quota").Mend)
	found = quotaProject(t.Context(), s, login(`,"quota_project_id":"acme-prod"`))
	assert.Equal(t, ok, about(t, found, "quota").Status)
	assert.Empty(t, quotaProject(t.Context(), s, nobody), "a service account needs none")

	for _, example := range []string{"dev", "shared"} { // they show every setting, and set none of these
		s, err := readStack(example)
		require.NoError(t, err)
		for _, f := range quotaProject(t.Context(), s, login(`,"quota_project_id":"acme-prod"`)) {
			assert.Equal(t, ok, f.Status, "%s: %s", example, f.Says)
		}
		assert.NotContains(t, s.apis(), "cloudidentity.googleapis.com")
	}

	s.settings["berth:kind"], s.settings["berth:budget"] = "project", map[string]any{"amount": 50}
	found = quotaProject(t.Context(), s, login(`,"quota_project_id":"acme-prod"`))
	f := found[len(found)-1]
	assert.Equal(t, wrong, f.Status, "the provider must be told to name the project, too")
	assert.Equal(t, []string{"pulumi config set gcp:userProjectOverride true", "pulumi config set gcp:billingProject acme-prod"}, f.Mend)
	s.settings["gcp:userProjectOverride"], s.settings["gcp:billingProject"] = true, "acme-prod"
	for _, f := range quotaProject(t.Context(), s, login(`,"quota_project_id":"acme-prod"`)) {
		assert.Equal(t, ok, f.Status)
	}
}

func TestWhyThereIsNoTokenIsSaidWithoutWhatWasSent(t *testing.T) {
	refused := func(body string) error {
		return &auth.Error{Response: &http.Response{StatusCode: http.StatusBadRequest}, Body: []byte(body)}
	}
	assert.Contains(t, explain(refused(`{"error":"invalid_grant","error_description":"a-secret"}`)), "expired or was revoked")
	assert.Equal(t, "the token endpoint answered 400 invalid_client", explain(refused(`{"error":"invalid_client","error_description":"a-secret"}`)))
	assert.Equal(t, "the token endpoint answered 400", explain(refused(`a-secret`)))
}
