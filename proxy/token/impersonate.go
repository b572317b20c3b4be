package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// An impersonated account is a service account that another account acts as.
type impersonated struct {
	o         *Options
	base      credential // gives the access tokens with which to act
	url       string     // of the IAM Credentials API
	account   string
	delegates []string // the accounts between base and account
}

var serviceAccountEmail = regexp.MustCompile(`^[a-z0-9.-]+@[a-z0-9.-]+$`)

// CheckAccount says what is wrong with a service account to act as.
func CheckAccount(account string) error {
	if !serviceAccountEmail.MatchString(account) {
		return fmt.Errorf("%q is no service account: give its e-mail address, such as agent@my-project.iam.gserviceaccount.com", account)
	}
	return nil
}

func (o *Options) newImpersonated(base credential, api, account string, delegates []string) (credential, error) {
	if err := o.checkWorld("the configuration", "IAM Credentials API", api); err != nil {
		return nil, err
	}
	return &impersonated{o, base, strings.TrimSuffix(api, "/"), account, delegates}, nil
}

// impersonationURL is what files name the account to act as by.
var impersonationURL = regexp.MustCompile(`^(https?://[^/?#]+)/v1/projects/-/serviceAccounts/([^/:?#]+):generateAccessToken$`)

// actAs reads that URL.
func (o *Options) actAs(base credential, file, raw string, delegates []string) (credential, error) {
	parts := impersonationURL.FindStringSubmatch(raw)
	if parts == nil || CheckAccount(parts[2]) != nil {
		return nil, loginError("%s has a service_account_impersonation_url that cannot be read: make the file anew", file)
	}
	if err := o.checkWorld(file, "service_account_impersonation_url", parts[1]); err != nil {
		return nil, err
	}
	return &impersonated{o, base, parts[1], parts[2], delegates}, nil
}

// impersonatedFrom reads what `gcloud auth application-default login
// --impersonate-service-account` writes.
func (o *Options) impersonatedFrom(file string, content []byte) (credential, error) {
	var f struct {
		URL       string          `json:"service_account_impersonation_url"`
		Delegates []string        `json:"delegates"`
		Source    json.RawMessage `json:"source_credentials"`
	}
	if err := json.Unmarshal(content, &f); err != nil || len(f.Source) == 0 {
		return nil, loginError("the login in %s is not complete: %s --impersonate-service-account=ACCOUNT`", file, strings.TrimSuffix(logIn, "`"))
	}
	base, err := o.fromJSON(file, f.Source)
	if err != nil {
		return nil, err
	}
	return o.actAs(base, file, f.URL, f.Delegates)
}

func (i *impersonated) String() string        { return i.base.String() + ", acting as " + i.account }
func (i *impersonated) choosesAudience() bool { return true }

func (i *impersonated) idToken(ctx context.Context, audience string) (Token, error) {
	var answer struct {
		Token string `json:"token"`
	}
	// Without its e-mail address, the account is nobody to a server that keeps roles.
	err := i.call(ctx, "generateIdToken", map[string]any{"audience": audience, "includeEmail": true}, &answer)
	if err != nil {
		return Token{}, err
	}
	return parseNew(answer.Token, i.url)
}

func (i *impersonated) accessToken(ctx context.Context) (string, error) {
	var answer struct {
		Token string `json:"accessToken"`
	}
	err := i.call(ctx, "generateAccessToken", map[string]any{"scope": []string{cloudPlatform}}, &answer)
	return answer.Token, err
}

// maxAnswer bounds an answer with a token, in bytes. Google's have some two thousand.
const maxAnswer = 64 << 10

// call asks the IAM Credentials API. The library's impersonate package knows Google's own
// alone, and passes on what an error's body says.
func (i *impersonated) call(ctx context.Context, method string, request map[string]any, answer any) error {
	access, err := i.base.accessToken(ctx)
	if err != nil {
		return err
	}
	if len(i.delegates) > 0 {
		var names []string
		for _, d := range i.delegates {
			names = append(names, "projects/-/serviceAccounts/"+strings.TrimPrefix(d, "projects/-/serviceAccounts/"))
		}
		request["delegates"] = names
	}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("ask for a token of %s: %w", i.account, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost,
		fmt.Sprintf("%s/v1/projects/-/serviceAccounts/%s:%s", i.url, url.PathEscape(i.account), method), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask for a token of %s: %w", i.account, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+access)
	resp, err := i.o.newClient().Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return fmt.Errorf("reach the IAM Credentials API %s: %w: check the network and try again", showURL(i.url), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return i.refused(resp.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("the IAM Credentials API %s gave an answer that is not a token", showURL(i.url))
	}
	return nil
}

func (i *impersonated) refused(status int) error {
	switch status {
	case http.StatusForbidden:
		return loginError("%s: that is not allowed: ask for roles/iam.serviceAccountTokenCreator on %s", i, i.account)
	case http.StatusNotFound:
		return loginError("%s: there is no such account: check its name", i)
	case http.StatusUnauthorized:
		return loginError("%s: the login is not accepted: %s", i, logIn)
	case http.StatusBadRequest:
		return loginError("%s: the request was refused (400): check the account, those in between, and the target's audience", i)
	}
	return fmt.Errorf("the IAM Credentials API %s answered %d: try again in a minute", showURL(i.url), status)
}

// parseNew reads a token that was just issued.
func parseNew(raw, issuer string) (Token, error) {
	tok, err := Parse(raw)
	if err != nil {
		return Token{}, fmt.Errorf("read the answer of %s: %w", showURL(issuer), err)
	}
	if !tok.Expires.After(time.Now()) {
		return Token{}, fmt.Errorf("the ID token from %s expired at %s, before it arrived: set this computer's clock",
			showURL(issuer), tok.Expires.Local().Format(time.DateTime))
	}
	return tok, nil
}
