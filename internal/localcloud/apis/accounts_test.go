package apis_test

import (
	"net/http"
	"strings"
	"testing"

	admin "cloud.google.com/go/iam/admin/apiv1"
	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

const (
	accountEmail = "portal-server@acme-dev.iam.gserviceaccount.com"
	accountPath  = "/v1/projects/acme-dev/serviceAccounts/" + accountEmail
)

func newAccountCloud(t *testing.T) (*cloud, map[string]any) {
	t.Helper()
	c := newCloud(t)
	c.enable(t, "iam.googleapis.com")
	return c, c.must(t, http.MethodPost, "/v1/projects/acme-dev/serviceAccounts",
		`{"accountId":"portal-server","serviceAccount":{"displayName":"Portal","description":"of acme"}}`)
}

func TestAnOfficialClientKeepsAServiceAccount(t *testing.T) {
	ctx := t.Context()
	c := newCloud(t)
	c.enable(t, "iam.googleapis.com")
	client, err := admin.NewIamClient(ctx, c.grpcOptions("owner-token")...)
	require.NoError(t, err)
	defer client.Close()

	created, err := client.CreateServiceAccount(ctx, &adminpb.CreateServiceAccountRequest{Name: "projects/acme-dev", AccountId: "portal-server"})
	require.NoError(t, err)
	assert.Equal(t, "projects/acme-dev/serviceAccounts/"+accountEmail, created.GetName())
	assert.Regexp(t, `^\d{21}$`, created.GetUniqueId())
	assert.True(t, c.directory.exists("serviceAccount:"+accountEmail))

	patched, err := client.PatchServiceAccount(ctx, &adminpb.PatchServiceAccountRequest{
		ServiceAccount: &adminpb.ServiceAccount{Name: created.GetName(), DisplayName: "Portal", Description: "ignored"},
		UpdateMask:     &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	require.NoError(t, err)
	assert.Equal(t, "Portal", patched.GetDisplayName())
	assert.Empty(t, patched.GetDescription())

	listed, err := client.ListServiceAccounts(ctx, &adminpb.ListServiceAccountsRequest{Name: "projects/acme-dev"}).Next()
	require.NoError(t, err)
	assert.Equal(t, patched.GetDisplayName(), listed.GetDisplayName())

	require.NoError(t, client.DeleteServiceAccount(ctx, &adminpb.DeleteServiceAccountRequest{Name: created.GetName()}))
	_, err = client.GetServiceAccount(ctx, &adminpb.GetServiceAccountRequest{Name: created.GetName()})
	assert.Equal(t, codes.NotFound, status.Code(err))
	assert.False(t, c.directory.exists("serviceAccount:"+accountEmail))
}

func TestAServiceAccountHasManyNames(t *testing.T) {
	c, created := newAccountCloud(t)
	for title, name := range map[string]string{
		"by e-mail":                         "projects/acme-dev/serviceAccounts/" + accountEmail,
		"by e-mail with the at escaped":     "projects/acme-dev/serviceAccounts/" + strings.Replace(accountEmail, "@", "%40", 1),
		"by e-mail in the project's number": "projects/123456789012/serviceAccounts/" + accountEmail,
		"by e-mail in whatever project":     "projects/-/serviceAccounts/" + accountEmail,
		"by unique id in whatever project":  "projects/-/serviceAccounts/" + created["uniqueId"].(string),
	} {
		t.Run(title, func(t *testing.T) {
			assert.Equal(t, created, c.must(t, http.MethodGet, "/v1/"+name, ""))
		})
	}
	for title, name := range map[string]string{
		"in another project": "projects/other-dev/serviceAccounts/" + accountEmail,
		"that nobody has":    "projects/-/serviceAccounts/nobody@acme-dev.iam.gserviceaccount.com",
	} {
		t.Run(title, func(t *testing.T) {
			c.must(t, http.MethodPost, "/v1/projects/other-dev/services/iam.googleapis.com:enable", "{}")
			assert.Equal(t, http.StatusNotFound, c.call(t, http.MethodGet, "/v1/"+name, "").code)
		})
	}
}

func TestAServiceAccountThatCannotBeIsRefused(t *testing.T) {
	c, _ := newAccountCloud(t)
	for _, tt := range []struct {
		title, method, path, body string
		code                      int
		message                   string
	}{
		{"an id that is too short", http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"five5"}`, 400, "6 to 30 characters"},
		{"an id that is too long", http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"` + strings.Repeat("a", 31) + `"}`, 400, "6 to 30 characters"},
		{"a description that is too long", http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"another","serviceAccount":{"description":"` + strings.Repeat("a", 257) + `"}}`, 400, "the most is 256"},
		{"an account that is there", http.MethodPost, "/v1/projects/acme-dev/serviceAccounts", `{"accountId":"portal-server"}`, 409, "already exists within project projects/acme-dev."},
		{"a change without a mask", http.MethodPatch, accountPath, `{"serviceAccount":{"displayName":"x"}}`, 400, "A mask is required"},
		{"a change of the e-mail", http.MethodPatch, accountPath, `{"serviceAccount":{"email":"x"},"updateMask":"email"}`, 400, `"email" cannot be changed`},
	} {
		t.Run(tt.title, func(t *testing.T) {
			a := c.call(t, tt.method, tt.path, tt.body)
			_, message := a.problem()
			assert.Equal(t, tt.code, a.code, a.text)
			assert.Contains(t, message, tt.message)
		})
	}
}

func TestADisabledAccountIsOutOfTheDirectory(t *testing.T) {
	c, _ := newAccountCloud(t)
	c.must(t, http.MethodPost, accountPath+":disable", "{}")
	assert.Equal(t, true, c.must(t, http.MethodGet, accountPath, "")["disabled"])
	assert.False(t, c.directory.exists("serviceAccount:"+accountEmail))
	c.must(t, http.MethodPost, accountPath+":enable", "{}")
	assert.True(t, c.directory.exists("serviceAccount:"+accountEmail))
}

func TestAServiceAccountHasAPolicy(t *testing.T) {
	c, _ := newAccountCloud(t)
	c.must(t, http.MethodPost, accountPath+":setIamPolicy", `{"policy":{"bindings":[{"role":"roles/iam.serviceAccountUser","members":["user:olivia@example.com"]}]}}`)
	assert.Len(t, c.must(t, http.MethodPost, accountPath+":getIamPolicy", "")["bindings"], 1)
	assert.Len(t, c.must(t, http.MethodPost, accountPath+":getIamPolicy", "{}")["bindings"], 1, "an empty object is no body")
}
