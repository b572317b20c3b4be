package apis_test

import (
	"net/http"
	"testing"

	credentials "cloud.google.com/go/iam/credentials/apiv1"
	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
)

const tokenPath = "/v1/projects/-/serviceAccounts/" + accountEmail

func newTokenCloud(t *testing.T) *cloud {
	t.Helper()
	c, _ := newAccountCloud(t)
	c.enable(t, "iamcredentials.googleapis.com")
	return c
}

func TestAnOfficialClientGetsTokensOfAnAccount(t *testing.T) {
	ctx := t.Context()
	c := newTokenCloud(t)
	client, err := credentials.NewIamCredentialsClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()
	name := "projects/-/serviceAccounts/" + accountEmail

	access, err := client.GenerateAccessToken(ctx, &credentialspb.GenerateAccessTokenRequest{
		Name: name, Scope: []string{"https://www.googleapis.com/auth/cloud-platform"}, Lifetime: &durationpb.Duration{Seconds: 60},
	})
	require.NoError(t, err)
	assert.Equal(t, "access token of "+accountEmail+" for 1m0s", access.GetAccessToken())
	assert.EqualValues(t, 1060, access.GetExpireTime().GetSeconds())

	id, err := client.GenerateIdToken(ctx, &credentialspb.GenerateIdTokenRequest{Name: name, Audience: "https://b.example"})
	require.NoError(t, err)
	assert.Equal(t, "bare ID token of "+accountEmail+" for https://b.example", id.GetToken())
	id, err = client.GenerateIdToken(ctx, &credentialspb.GenerateIdTokenRequest{Name: name, Audience: "https://b.example", IncludeEmail: true})
	require.NoError(t, err)
	assert.Equal(t, "ID token of "+accountEmail+" for https://b.example", id.GetToken())
}

func TestOnlyWhoeverIsGrantedItGetsTokens(t *testing.T) {
	c := newTokenCloud(t)
	const access, id = `{"scope":["cloud-platform"]}`, `{"audience":"https://b.example"}`
	for role, want := range map[string]struct{ access, id int }{
		"roles/iam.serviceAccountTokenCreator":       {http.StatusOK, http.StatusOK},
		"roles/iam.workloadIdentityUser":             {http.StatusOK, http.StatusOK},
		"roles/iam.serviceAccountOpenIdTokenCreator": {http.StatusForbidden, http.StatusOK},
		"roles/iam.serviceAccountUser":               {http.StatusForbidden, http.StatusForbidden},
		"roles/editor":                               {http.StatusForbidden, http.StatusForbidden},
	} {
		t.Run(role, func(t *testing.T) {
			c.grant(t, accountPath, role, "user:"+stranger)
			assert.Equal(t, want.access, c.as(t, "stranger-token", http.MethodPost, tokenPath+":generateAccessToken", access).code)
			assert.Equal(t, want.id, c.as(t, "stranger-token", http.MethodPost, tokenPath+":generateIdToken", id).code)
		})
	}
}

func TestABadRequestForATokenIsRefused(t *testing.T) {
	c := newTokenCloud(t)
	for title, tt := range map[string]struct {
		path, body string
		code       int
		says       []string
	}{
		"no scope and too long a life": {tokenPath + ":generateAccessToken", `{"lifetime":"7200s"}`, 400, []string{"scope", "2h0m0s is not 0s to 1h0m0s"}},
		"no audience":                  {tokenPath + ":generateIdToken", `{"includeEmail":true}`, 400, []string{"audience"}},
		"a project where none belongs": {accountPath + ":generateIdToken", `{"audience":"x"}`, 400, []string{"must be projects/-/serviceAccounts/EMAIL"}},
		"delegates":                    {tokenPath + ":generateIdToken", `{"audience":"x","delegates":["y"]}`, 501, []string{"delegates"}},
		"an account that is not there": {"/v1/projects/-/serviceAccounts/none@acme-dev.iam.gserviceaccount.com:generateIdToken", `{"audience":"x"}`, 404, []string{"none@"}},
	} {
		t.Run(title, func(t *testing.T) {
			a := c.call(t, http.MethodPost, tt.path, tt.body)
			_, message := a.problem()
			assert.Equal(t, tt.code, a.code, a.text)
			for _, part := range tt.says {
				assert.Contains(t, message, part)
			}
		})
	}
	c.must(t, http.MethodPost, accountPath+":disable", `{}`)
	a := c.call(t, http.MethodPost, tokenPath+":generateIdToken", `{"audience":"x"}`)
	assert.Equal(t, http.StatusBadRequest, a.code)
	assert.Contains(t, a.text, "is disabled")
}
