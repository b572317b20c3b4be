package token

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/ownfile"
)

// GivenVariable is the environment variable with an ID token to use as it is.
const GivenVariable = "BERTH_PROXY_TOKEN"

// A given token was got by other means, such as a CI system's.
type given struct {
	where string
	raw   string
}

// givenKind is of files with an ID token, which has some two thousand bytes.
var givenKind = ownfile.Kind{Name: "an ID token", Bytes: 64 << 10, Private: true}

// givenIn reads the file that a flag, a variable or a setting names.
func givenIn(from, file string) (credential, error) {
	if err := pathname.Check(pathname.File, file); err != nil {
		return nil, loginError("%s: %v", from, err)
	}
	content, err := givenKind.Read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, loginError("there is no login at %s: it is where %s looks for an ID token", file, from)
	case err != nil:
		return nil, loginError("%s: %v", from, err)
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
