package token

import (
	"context"
	"encoding/json"

	"cloud.google.com/go/auth/credentials"
)

// An external account is an identity outside Google: a workload of another cloud, a CI job
// or a person of a workforce pool. Its token opens Google's APIs but is no ID token; it acts
// as a service account to get one.
type external struct {
	o       *Options
	file    string
	kind    credentials.CredType
	content []byte
	runs    bool // a program, to get what it is known by
}

// externalFrom reads what `gcloud iam workload-identity-pools create-cred-config` writes.
func (o *Options) externalFrom(file string, content []byte) (credential, error) {
	var f map[string]json.RawMessage
	var source struct {
		Executable *struct{} `json:"executable"`
	}
	var impersonation string
	incomplete := loginError("the external account in %s is not complete: make the file anew with `gcloud iam workload-identity-pools create-cred-config`", file)
	if json.Unmarshal(content, &f) != nil || json.Unmarshal(f["credential_source"], &source) != nil {
		return nil, incomplete
	}
	if raw := f["service_account_impersonation_url"]; raw != nil && json.Unmarshal(raw, &impersonation) != nil {
		return nil, incomplete
	}
	// What acts as the service account is the external account itself.
	delete(f, "service_account_impersonation_url")
	content, err := json.Marshal(f)
	if err != nil {
		return nil, incomplete
	}
	base, err := o.newExternal(file, credentials.ExternalAccount, content, source.Executable != nil)
	if err != nil || impersonation == "" {
		return base, err
	}
	return o.actAs(base, file, impersonation, nil)
}

// workforceFrom reads what `gcloud auth application-default login --login-config` writes.
func (o *Options) workforceFrom(file string, content []byte) (credential, error) {
	return o.newExternal(file, credentials.ExternalAccountAuthorizedUser, content, false)
}

func (o *Options) newExternal(file string, kind credentials.CredType, content []byte, runs bool) (credential, error) {
	var f struct {
		TokenURL string `json:"token_url"`
	}
	if err := json.Unmarshal(content, &f); err != nil {
		return nil, loginError("the external account in %s is not complete: make the file anew", file)
	}
	if err := o.checkWorld(file, "token_url", f.TokenURL); err != nil {
		return nil, err
	}
	return &external{o, file, kind, content, runs}, nil
}

func (e *external) String() string        { return "the external account in " + e.file }
func (e *external) choosesAudience() bool { return true }

func (e *external) idToken(context.Context, string) (Token, error) {
	return Token{}, loginError("%s gives no ID tokens by itself: name a service account that it may act as, with --impersonate-service-account or by making the file anew with --service-account", e)
}

func (e *external) accessToken(ctx context.Context) (string, error) {
	client := e.o.newClient()
	creds, err := credentials.NewCredentialsFromJSON(e.kind, e.content, &credentials.DetectOptions{
		Scopes: []string{cloudPlatform},
		Client: &client.Client,
		Logger: silent,
	})
	if err != nil {
		return "", explainExternal(e.String(), client, e.runs, err)
	}
	response, err := creds.Token(ctx)
	if err != nil {
		return "", explainExternal(e.String(), client, e.runs, err)
	}
	return response.Value, nil
}
