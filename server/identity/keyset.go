package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// signatures are the algorithms that a token may be signed with, if its issuer says
// that it uses them: those whose verifier could not have signed it.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// keySet is what an issuer has told of how its tokens are signed.
type keySet struct {
	at         time.Time // when it was asked
	issuer     string
	algorithms []string
	public     oidc.StaticKeySet
	ids        map[string]bool
}

// learn asks for the issuer's discovery document and, where that says, its keys.
func (i *issuer) learn(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, issuerTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.config.URL)
	if err != nil {
		return nil, fmt.Errorf("its discovery document: %.300s", err.Error()) // the whole answer may be in it
	}
	var document struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, fmt.Errorf("its discovery document: %w", err)
	}
	published, err := i.published(ctx, document.Keys)
	if err != nil {
		return nil, fmt.Errorf("its keys at %s: %w", document.Keys, err)
	}
	keys := &keySet{
		issuer:     i.config.URL,
		algorithms: slices.DeleteFunc(document.Algorithms, func(a string) bool { return !slices.Contains(signatures, a) }),
		ids:        make(map[string]bool),
	}
	for _, key := range published {
		if usable(key) {
			keys.public.PublicKeys = append(keys.public.PublicKeys, crypto.PublicKey(key.Key))
			keys.ids[key.KeyID] = key.KeyID != "" // a key without a name may be any
		}
	}
	return keys, nil
}

// published reads the keys that are at a URL. Those of a kind that is not known are
// left out (RFC 7517, section 5).
func (i *issuer) published(ctx context.Context, url string) ([]jose.JSONWebKey, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := i.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// usable says if a key is a public one, for signatures.
func usable(key jose.JSONWebKey) bool {
	switch key.Key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return key.Use == "" || key.Use == "sig"
	}
	return false
}

// verify checks a token's signature, issuer and expiry.
func (k *keySet) verify(ctx context.Context, raw string, now time.Time) (*oidc.IDToken, error) {
	token, err := oidc.NewVerifier(k.issuer, &k.public, &oidc.Config{
		SupportedSigningAlgs: k.algorithms, // RS256 if there are none
		SkipClientIDCheck:    true,         // whoever wants the token compares with all audiences
		Now:                  func() time.Time { return now.Add(-clockSkew) },
	}).Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return nil, fmt.Errorf("the token expired %.0f s ago", now.Sub(expired.Expiry).Seconds())
	case err != nil:
		return nil, errors.New("the token is not one that its issuer has signed") // the library's words may repeat parts of it
	}
	return token, nil
}
