package token

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"

	"github.com/berth-mcp/berth/proxy/address"
)

// GoogleTokenURL is where Google trades a refresh token for an ID token.
const GoogleTokenURL = "https://oauth2.googleapis.com/token"

const (
	logIn = "run `gcloud auth application-default login`"

	// A login file is about 400 bytes; the largest credential file of any type is a
	// few kilobytes.
	maxLoginBytes = 64 << 10

	exchangeTimeout = 30 * time.Second
)

// A LoginError says that there is no login to get tokens with, or that the one there is
// has ended. Only a person can mend it; the message says how.
type LoginError struct{ msg string }

func (e *LoginError) Error() string { return e.msg }

// A login is the developer's Application Default Credentials on disk.
type login struct {
	file     string
	tokenURL string
	client   *http.Client
}

// adcFile is where the Google libraries look for a login.
func adcFile() string {
	if f := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); f != "" {
		return f
	}
	const name = "application_default_credentials.json"
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("APPDATA"), "gcloud", name)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // no home, no login: reading the file says so
	}
	return filepath.Join(home, ".config", "gcloud", name)
}

func newLogin(file, tokenURL string) login {
	return login{
		file:     file,
		tokenURL: tokenURL,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  address.Proxy,
				ForceAttemptHTTP2:      true,
				DisableKeepAlives:      true, // used about once an hour
				MaxResponseHeaderBytes: 64 << 10,
			},
			Timeout: exchangeTimeout,
			// The request holds the refresh token: it goes to the one endpoint that
			// was configured, and not where that endpoint points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// stat describes the login file; nil if there is none to look at.
func (l login) stat() fs.FileInfo {
	info, err := os.Stat(l.file)
	if err != nil {
		return nil
	}
	return info
}

// unchanged reports whether both describe the same state of the same file. A new login of
// the same size, within the file system's clock tick, still is another file.
func unchanged(before, now fs.FileInfo) bool {
	return before != nil && now != nil && os.SameFile(before, now) &&
		before.ModTime().Equal(now.ModTime()) && before.Size() == now.Size()
}

// grant reads the login and trades it for new tokens. Nothing is remembered between calls,
// as the auth library's credentials would: they keep the access token and answer with the
// ID token that came beside it, however old that is.
func (l login) grant(ctx context.Context) (*auth.Token, error) {
	content, err := l.read()
	if err != nil {
		return nil, err
	}
	creds, err := credentials.NewCredentialsFromJSON(credentials.AuthorizedUser, content, &credentials.DetectOptions{
		TokenURL: l.tokenURL,
		Client:   l.client,
		// The library's own logger, switched on by an environment variable, would
		// write tokens.
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, &LoginError{fmt.Sprintf("the login in %s is not complete: %s", l.file, logIn)}
	}
	response, err := creds.Token(ctx)
	if err != nil {
		return nil, l.explain(err)
	}
	return response, nil
}

// exchange trades the login for a new ID token.
func (l login) exchange(ctx context.Context) (Token, error) {
	response, err := l.grant(ctx)
	if err != nil {
		return Token{}, err
	}
	raw := response.MetadataString("id_token")
	if raw == "" {
		return Token{}, &LoginError{fmt.Sprintf("the login in %s gives no ID token, as it was made without the scope openid: %s", l.file, logIn)}
	}
	tok, err := Parse(raw)
	if err != nil {
		return Token{}, fmt.Errorf("read the answer of %s: %w", showURL(l.tokenURL), err)
	}
	if !tok.Expires.After(time.Now()) {
		return Token{}, fmt.Errorf("the ID token from %s expired at %s, before it arrived: set this computer's clock",
			showURL(l.tokenURL), tok.Expires.Local().Format(time.DateTime))
	}
	return tok, nil
}

func (l login) read() ([]byte, error) {
	content, err := l.content()
	if err != nil {
		return nil, err
	}
	var kind struct {
		Type     credentials.CredType `json:"type"`
		TokenURI string               `json:"token_uri"`
	}
	if err := json.Unmarshal(content, &kind); err != nil {
		return nil, &LoginError{fmt.Sprintf("%s is not JSON: %s", l.file, logIn)}
	}
	if kind.Type != credentials.AuthorizedUser {
		return nil, &LoginError{fmt.Sprintf("%s holds credentials of type %q, and only %q (a developer's own login) is supported: unset GOOGLE_APPLICATION_CREDENTIALS or %s",
			l.file, kind.Type, credentials.AuthorizedUser, logIn)}
	}
	// A refresh token is worth as much as a password: it goes to the endpoint it came
	// from, and to no other that someone was talked into configuring. A cloud on this
	// machine writes where its logins belong; gcloud does not, and its are Google's.
	home := cmp.Or(kind.TokenURI, GoogleTokenURL)
	if home != l.tokenURL {
		return nil, &LoginError{fmt.Sprintf("the login in %s belongs to the token endpoint %s, so that it was not sent to %s: set --token-url to the endpoint of the login, or GOOGLE_APPLICATION_CREDENTIALS to a login of that endpoint",
			l.file, showURL(home), showURL(l.tokenURL))}
	}
	return content, nil
}

// content reads the file, if that is a file: a pipe would be waited for, and a device may
// have no end.
func (l login) content() ([]byte, error) {
	info, err := os.Stat(l.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &LoginError{fmt.Sprintf("there is no login at %s: %s", l.file, logIn)}
	case err != nil:
		return nil, &LoginError{fmt.Sprintf("cannot read the login: %v", err)}
	case !info.Mode().IsRegular():
		return nil, &LoginError{fmt.Sprintf("%s is not a regular file, as a login must be: %s", l.file, logIn)}
	}
	file, err := os.Open(l.file)
	if err != nil {
		return nil, &LoginError{fmt.Sprintf("cannot read the login: %v", err)}
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxLoginBytes+1))
	switch {
	case err != nil:
		return nil, &LoginError{fmt.Sprintf("cannot read the login: %v", err)}
	case len(content) > maxLoginBytes:
		return nil, &LoginError{fmt.Sprintf("%s is larger than %d KiB, too large for a login: %s", l.file, maxLoginBytes>>10, logIn)}
	}
	return content, nil
}

// showURL is a URL for a message, in which there is no place for secrets.
func showURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that cannot be read"
	}
	return address.Show(u)
}

// explain turns the failure of an exchange into a sentence. It takes nothing from the
// answer but the error's code, as a body might repeat what was sent.
func (l login) explain(err error) error {
	var refused *auth.Error
	if !errors.As(err, &refused) || refused.Response == nil {
		// A url.Error's text is the URL and the cause; the token is in neither.
		var failed *url.Error
		if errors.As(err, &failed) {
			return fmt.Errorf("reach the token endpoint %s: %w: check the network and try again", showURL(l.tokenURL), failed.Err)
		}
		return fmt.Errorf("the token endpoint %s gave an answer that is not a token", showURL(l.tokenURL))
	}
	var answer struct {
		Code    string `json:"error"`
		Subtype string `json:"error_subtype"`
	}
	_ = json.Unmarshal(refused.Body, &answer) // not JSON: the status alone must do
	switch {
	case answer.Code == "invalid_grant" && answer.Subtype == "invalid_rapt", answer.Code == "invalid_rapt":
		return &LoginError{fmt.Sprintf("your organisation asks you to log in again (invalid_rapt): %s", logIn)}
	case answer.Code == "invalid_grant":
		return &LoginError{fmt.Sprintf("your login in %s has expired or was revoked (invalid_grant): %s", l.file, logIn)}
	case answer.Code == "invalid_client", answer.Code == "unauthorized_client", answer.Code == "deleted_client":
		return &LoginError{fmt.Sprintf("the login in %s was made by a program that may not use it any more (%s): %s", l.file, answer.Code, logIn)}
	}
	return fmt.Errorf("the token endpoint %s answered %d: try again in a minute", showURL(l.tokenURL), refused.Response.StatusCode)
}
