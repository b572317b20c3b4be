package token

import (
	"context"
	"encoding/json"
	"log/slog"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
)

// A user is a developer's own login: a refresh token.
type user struct {
	o       *Options
	file    string
	content []byte
}

func (o *Options) userFrom(file string, content []byte) (credential, error) {
	var uri struct {
		TokenURI string `json:"token_uri"`
	}
	if err := json.Unmarshal(content, &uri); err != nil {
		return nil, loginError("the login in %s is not complete: %s", file, logIn)
	}
	if err := o.belongs(file, uri.TokenURI); err != nil {
		return nil, err
	}
	return &user{o, file, content}, nil
}

func (u *user) String() string { return "your login in " + u.file }

// choosesAudience: the audience is the OAuth client that the login was made with, which
// Cloud Run accepts on all services.
func (u *user) choosesAudience() bool { return false }

func (u *user) grant(ctx context.Context) (*auth.Token, error) {
	creds, err := credentials.NewCredentialsFromJSON(credentials.AuthorizedUser, u.content, &credentials.DetectOptions{
		TokenURL: u.o.TokenURL,
		Client:   &u.o.newClient().Client,
		Logger:   silent,
	})
	if err != nil {
		return nil, loginError("the login in %s is not complete: %s", u.file, logIn)
	}
	response, err := creds.Token(ctx)
	if err != nil {
		return nil, exchange{u.String(), u.o.TokenURL, logIn}.explain(err)
	}
	return response, nil
}

func (u *user) idToken(ctx context.Context, _ string) (Token, error) {
	response, err := u.grant(ctx)
	if err != nil {
		return Token{}, err
	}
	raw := response.MetadataString("id_token")
	if raw == "" {
		return Token{}, loginError("the login in %s gives no ID token, as it was made without the scope openid: %s", u.file, logIn)
	}
	return parseNew(raw, u.o.TokenURL)
}

func (u *user) accessToken(ctx context.Context) (string, error) {
	response, err := u.grant(ctx)
	if err != nil {
		return "", err
	}
	return response.Value, nil
}

// silent is the logger of Google's libraries: their own, switched on by an environment
// variable, would write tokens.
var silent = slog.New(slog.DiscardHandler)
