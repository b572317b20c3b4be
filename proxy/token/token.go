// Package token gets Google ID tokens for the developer who runs the proxy: it reads the
// developer's own login, trades it at the token endpoint, and keeps the result until it
// must be renewed.
//
// It knows nothing of clients, requests or where a token is going: which origin may be
// given which token is for package relay to decide.
package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A Token is one ID token and what its payload says. The zero Token holds none.
//
// Printing, logging or encoding a Token never shows the token itself. Two Tokens are
// equal if they came from the same exchange.
type Token struct {
	Issuer  string    // the iss claim, an issuer URL
	Email   string    // the email claim; empty if the login did not grant it
	Expires time.Time // the exp claim

	// A pointer, because fmt shows the fields of a struct that is held in another
	// struct's unexported field without asking for its String method.
	bearer *string
}

// Parse reads the payload of an ID token. It does not verify the signature: the one who
// sends a token has nothing to gain from doing that, and the platform does it anyway.
func Parse(raw string) (Token, error) {
	segments := strings.Split(raw, ".")
	if len(segments) != 3 {
		return Token{}, errors.New("the id token is not a JWT of three segments")
	}
	for _, s := range segments {
		if _, err := base64.RawURLEncoding.DecodeString(s); err != nil || s == "" {
			return Token{}, errors.New("the id token has a segment that is not base64url")
		}
	}
	payload, err := base64.RawURLEncoding.DecodeString(segments[1])
	if err != nil {
		return Token{}, errors.New("the id token has a payload that is not base64url")
	}
	// A map, because the fields of a struct would be filled from claims whose names
	// differ in case, too.
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(payload, &claims); err != nil {
		return Token{}, errors.New("the id token has a payload that is not a JSON object of claims")
	}
	var issuer, email string
	var expires float64 // a NumericDate may have a fraction
	for name, into := range map[string]any{"iss": &issuer, "email": &email, "exp": &expires} {
		if raw, ok := claims[name]; ok && json.Unmarshal(raw, into) != nil {
			return Token{}, fmt.Errorf("the id token has a claim %s of another type than it should have", name)
		}
	}
	if issuer == "" || expires <= 0 {
		return Token{}, errors.New("the id token lacks the claim iss or exp")
	}
	bearer := "Bearer " + raw // once: every request that is under way holds it
	return Token{
		Issuer:  issuer,
		Email:   email,
		Expires: time.Unix(int64(expires), 0),
		bearer:  &bearer,
	}, nil
}

// Bearer is the value of an authorization header that carries the token.
func (t Token) Bearer() string {
	if t.bearer == nil {
		return ""
	}
	return *t.bearer
}

// Account is the token's e-mail address, or words that stand for it in a sentence.
func (t Token) Account() string {
	if t.Email == "" {
		return "your account"
	}
	return t.Email
}

// IsServiceAccount reports whether the account is not a person's.
func (t Token) IsServiceAccount() bool { return strings.HasSuffix(t.Email, ".gserviceaccount.com") }

func (t Token) String() string {
	return fmt.Sprintf("ID token of %s from %s until %s", t.Account(), t.Issuer, t.Expires.UTC().Format(time.RFC3339))
}

func (t Token) GoString() string { return t.String() }

func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
