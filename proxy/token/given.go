package token

import (
	"context"
	"strings"
	"time"
)

// GivenVariable is the environment variable with an ID token to use as it is.
const GivenVariable = "BERTH_PROXY_TOKEN"

// A given token was got by other means, such as a CI system's.
type given struct {
	where string
	raw   string
}

func givenIn(file string) (credential, error) {
	content, err := readLogin(file)
	if err != nil {
		return nil, loginError("%s: it is where --token-file looks for an ID token", strings.TrimSuffix(err.Error(), ": "+logIn))
	}
	return given{"the token in " + file, strings.TrimSpace(string(content))}, nil
}

func (g given) String() string        { return g.where }
func (g given) choosesAudience() bool { return false }

func (g given) idToken(context.Context, string) (Token, error) {
	tok, err := Parse(g.raw)
	if err != nil {
		return Token{}, loginError("%s cannot be used: %v: give an ID token, and no access token or key", g.where, err)
	}
	if !tok.Expires.After(time.Now()) {
		return Token{}, loginError("%s expired at %s: give a new one", g.where, tok.Expires.Local().Format(time.DateTime))
	}
	return tok, nil
}

func (g given) accessToken(context.Context) (string, error) {
	return "", loginError("%s is an ID token, which opens no API of Google's: give the URL of the service, or use a login", g.where)
}
