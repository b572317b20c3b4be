package token

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"

	"cloud.google.com/go/auth"
)

// A serviceAccount is the key of a service account.
type serviceAccount struct {
	o    *Options
	file string
	key  serviceAccountKey
}

type serviceAccountKey struct {
	Email        string `json:"client_email"`
	PrivateKey   string `json:"private_key"`
	PrivateKeyID string `json:"private_key_id"`
	TokenURI     string `json:"token_uri"`
}

func (o *Options) serviceAccountFrom(file string, content []byte) (credential, error) {
	s := &serviceAccount{o: o, file: file}
	if err := json.Unmarshal(content, &s.key); err != nil || s.key.Email == "" || s.key.PrivateKey == "" {
		return nil, loginError("the service account's key in %s is not complete: make a new one, or unset GOOGLE_APPLICATION_CREDENTIALS and %s", file, logIn)
	}
	if err := o.belongs(file, s.key.TokenURI); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *serviceAccount) String() string        { return "the service account's key in " + s.file }
func (s *serviceAccount) choosesAudience() bool { return true }

func (s *serviceAccount) idToken(ctx context.Context, audience string) (Token, error) {
	// The library's idtoken package would use a client of its own, which follows redirects.
	response, err := s.grant(ctx, &auth.Options2LO{UseIDToken: true, PrivateClaims: map[string]any{"target_audience": audience}})
	if err != nil {
		return Token{}, err
	}
	return parseNew(response.Value, s.o.TokenURL)
}

func (s *serviceAccount) accessToken(ctx context.Context) (string, error) {
	response, err := s.grant(ctx, &auth.Options2LO{Scopes: []string{cloudPlatform}})
	if err != nil {
		return "", err
	}
	return response.Value, nil
}

func (s *serviceAccount) grant(ctx context.Context, o *auth.Options2LO) (*auth.Token, error) {
	o.Email, o.PrivateKey, o.PrivateKeyID = s.key.Email, []byte(s.key.PrivateKey), s.key.PrivateKeyID
	o.TokenURL = cmp.Or(s.key.TokenURI, GoogleTokenURL)
	client := s.o.newClient()
	o.Client, o.Logger = &client.Client, silent
	provider, err := auth.New2LOTokenProvider(o)
	if err == nil {
		var response *auth.Token
		if response, err = provider.Token(ctx); err == nil {
			return response, nil
		}
	}
	var unreached *url.Error
	if !client.heard() && !errors.As(err, &unreached) {
		return nil, loginError("%s cannot be read: make a new one", s) // the key's text may be in err
	}
	return nil, exchange{s.String(), o.TokenURL, "make a new key, and see to it that this computer's clock is right"}.explain(err)
}
