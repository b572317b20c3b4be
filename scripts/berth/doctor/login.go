package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/token"
)

// login is a login that works.
type login struct {
	credentials *auth.Credentials
	member      string // IAM member; empty if the login does not tell
}

const logIn = "gcloud auth application-default login"

// signIn gets a token as Pulumi would, and looks at the login on the way.
func signIn(ctx context.Context, s stack) (*login, []finding) {
	var findings []finding
	for _, key := range []string{"accessToken", "credentials"} {
		if s.isEncrypted("gcp:" + key) {
			findings = append(findings, doubt("login", "gcp:%s is encrypted in the stack's file, so that another login is looked at here: set the environment variable for it to look at that one", key).
				by(map[string]string{
					"accessToken": "export GOOGLE_OAUTH_ACCESS_TOKEN=$(pulumi config get gcp:accessToken" + s.option() + ")",
					"credentials": "export GOOGLE_CREDENTIALS=$(pulumi config get gcp:credentials" + s.option() + ")",
				}[key]))
		}
	}
	identity := s.identity()
	creds, err := identity.Login()
	if err != nil {
		return nil, append(findings, fault("login", "there is no login that Pulumi could use: %s", explain(err)).by(logIn))
	}
	tok, err := creds.Token(ctx)
	if err != nil {
		return nil, append(findings, fault("login", "Google does not take the login: %s", explain(err)).by(logIn))
	}
	l := &login{credentials: creds}
	source := "the login of gcloud auth application-default login"
	switch {
	case identity.Impersonate != "":
		l.member, source = "serviceAccount:"+identity.Impersonate, "by impersonation"
	case identity.AccessToken != "":
		source = "an access token, which does not say whose it is, from gcp:accessToken or its environment variable"
	default:
		l.member, source = whose(creds.JSON(), tok)
	}
	findings = append(findings, fine("login", "%s", strings.TrimSpace(strings.TrimPrefix(l.member+", ", ", ")+source)))
	return l, append(findings, quotaProject(ctx, s, creds)...)
}

// whose reads the account from a credentials file, or from the ID token that comes
// with a person's.
func whose(file []byte, tok *auth.Token) (member, source string) {
	var content struct {
		Type  credentials.CredType `json:"type"`
		Email string               `json:"client_email"`
	}
	_ = json.Unmarshal(file, &content) // there is no file on a virtual machine
	switch {
	case content.Type == credentials.AuthorizedUser:
		source = "the login of gcloud auth application-default login"
		if id, err := token.Parse(tok.MetadataString("id_token")); err == nil && strings.Contains(id.Account(), "@") {
			member = "user:" + id.Account()
		}
	case content.Email != "":
		member, source = "serviceAccount:"+content.Email, "a service account's key"
	case content.Type != "":
		source = fmt.Sprintf("credentials of type %s", content.Type)
	default:
		source = "the account of this virtual machine"
	}
	return member, source
}

// quotaProject looks at what a person's own login needs for some APIs (groups, budgets,
// organisation policies), and a service account's never does.
func quotaProject(ctx context.Context, s stack, creds *auth.Credentials) []finding {
	var content struct {
		Type credentials.CredType `json:"type"`
	}
	if json.Unmarshal(creds.JSON(), &content) != nil || content.Type != credentials.AuthorizedUser {
		return nil
	}
	var findings []finding
	project, err := creds.QuotaProjectID(ctx)
	if err != nil || project == "" {
		findings = append(findings, doubt("quota", "the login names no quota project, which APIs for groups, budgets and organisation policies ask for").
			by("gcloud auth application-default set-quota-project "+s.project()))
	} else {
		findings = append(findings, fine("quota", "calls of this login count against project %s", project))
	}
	if (group(s) || budget(s)) && !s.countsCalls() {
		findings = append(findings, fault("quota", "with a person's login, groups and budgets are refused unless the provider names the project that its calls count against").
			by("pulumi config set gcp:userProjectOverride true"+s.option(), "pulumi config set gcp:billingProject "+s.project()+s.option()))
	}
	return findings
}

// countsCalls says whether the provider is told which project its calls count against:
// it does not go by the login's.
func (s stack) countsCalls() bool {
	override := fmt.Sprint(s.settings["gcp:userProjectOverride"]) == "true" || os.Getenv("USER_PROJECT_OVERRIDE") == "true"
	return override && (s.text("gcp:billingProject") != "" || os.Getenv("GOOGLE_BILLING_PROJECT") != "")
}

// explain says why there is no token, without what was sent or answered.
func explain(err error) string {
	var refused *auth.Error
	var failed *url.Error
	var path *os.PathError
	switch {
	case errors.As(err, &refused):
		var answer struct {
			Code string `json:"error"`
		}
		_ = json.Unmarshal(refused.Body, &answer) // not JSON: the rest must do
		if answer.Code == "invalid_grant" || answer.Code == "invalid_rapt" {
			return "it has expired or was revoked (" + answer.Code + ")"
		}
		if refused.Response != nil {
			return strings.TrimSpace(fmt.Sprintf("the token endpoint answered %d %s", refused.Response.StatusCode, answer.Code))
		}
		return "the token endpoint gave no answer that can be read"
	case errors.As(err, &failed):
		return failed.Err.Error()
	case errors.As(err, &path):
		return pathname.CheckError(pathname.File, path).Error()
	}
	return firstSentence(err.Error())
}
