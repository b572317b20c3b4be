package identity

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/berth-mcp/berth/internal/ascii"
)

const (
	// maxToken bounds what is parsed, in bytes. Google's ID tokens have about
	// a thousand.
	maxToken = 16 << 10
	// clockSkew is how far in the future a token may have been issued.
	clockSkew = time.Minute
)

// compactJWS is the one serialization that travels in a header. The library
// would also read the JSON one.
var compactJWS = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)

// Claims are what a verified ID token says. The e-mail is known also where the
// token does not say it: the subject is the account's.
type Claims struct {
	Subject       string
	Email         string
	EmailVerified bool
	Audience      []string
	IssuedAt      time.Time
	Expires       time.Time
}

// idTokenClaims are the claims as Google writes them.
type idTokenClaims struct {
	jwt.Claims
	AuthorizedParty string `json:"azp"`
	HostedDomain    string `json:"hd,omitempty"`
	Email           string `json:"email,omitempty"`
	EmailVerified   bool   `json:"email_verified,omitempty"`
}

func (d *Directory) useKey(key *rsa.PrivateKey) error {
	public := jose.JSONWebKey{Key: key.Public(), Algorithm: string(jose.RS256), Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return err
	}
	public.KeyID = hex.EncodeToString(thumbprint[:20])
	d.keys = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}}
	d.signer, err = jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: public.KeyID}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	d.verifier = oidc.NewVerifier(d.issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Public()}}, &oidc.Config{
		SkipClientIDCheck:    true, // which audiences are right is known to the service that is called
		SupportedSigningAlgs: []string{oidc.RS256},
		Now:                  d.now,
	})
	return err
}

// IDToken returns an ID token of a person or a service account for an
// audience, as the metadata server gives it. ErrNotFound if there is no such
// identity.
func (d *Directory) IDToken(email, audience string) (string, error) {
	return d.idToken(email, audience, true)
}

// IDTokenWithoutEmail returns what IAM's generateIdToken gives to a caller who
// does not ask for the e-mail: the account is in the subject alone.
func (d *Directory) IDTokenWithoutEmail(email, audience string) (string, error) {
	return d.idToken(email, audience, false)
}

func (d *Directory) idToken(email, audience string, tellEmail bool) (string, error) {
	email, err := normalize(email)
	if err != nil {
		return "", err
	}
	d.mu.RLock()
	k, ok := d.kinds[email]
	d.mu.RUnlock()
	if !ok || k == group {
		return "", fmt.Errorf("issuing an ID token to %s: the person or service account %w", email, ErrNotFound)
	}
	now := d.now()
	claims := idTokenClaims{
		Claims: jwt.Claims{
			Issuer:   d.issuer,
			Subject:  subject(email),
			Audience: jwt.Audience{audience},
			IssuedAt: jwt.NewNumericDate(now),
			Expiry:   jwt.NewNumericDate(now.Add(d.lifetime)),
		},
		AuthorizedParty: subject(email),
		Email:           email,
		EmailVerified:   true,
	}
	if k == person {
		claims.AuthorizedParty = clientID
		if _, domain, _ := strings.Cut(email, "@"); domain != "gmail.com" {
			claims.HostedDomain = domain
		}
	}
	if !tellEmail {
		claims.Email, claims.EmailVerified = "", false
	}
	token, err := jwt.Signed(d.signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing an ID token for %s: %w", email, err)
	}
	return token, nil
}

// subject gives an account the shape of Google's ids, 21 digits, the same for
// an address at any time.
func subject(email string) string {
	sum := sha256.Sum256([]byte(email))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	return "1" + fmt.Sprintf("%020d", new(big.Int).Mod(new(big.Int).SetBytes(sum[:]), limit))
}

// emailOf finds whose subject it is, or nobody.
func (d *Directory) emailOf(wanted string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for email := range d.kinds {
		if subject(email) == wanted {
			return email
		}
	}
	return ""
}

// VerifyIDToken checks that an ID token is a compact RS256 JWS signed by this
// directory's key, that this directory issued it, and that now lies in its
// time. It does not check the audience, and not whether the identity still
// exists: Allows does that. ErrInvalidToken otherwise, with an error that
// never holds the token.
func (d *Directory) VerifyIDToken(ctx context.Context, raw string) (Claims, error) {
	if len(raw) > maxToken || !compactJWS.MatchString(raw) {
		return Claims{}, fmt.Errorf("verifying an ID token: %w: not a compact JWS of at most %d bytes", ErrInvalidToken, maxToken)
	}
	token, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		return Claims{}, fmt.Errorf("verifying an ID token: %w: %w", ErrInvalidToken, err)
	}
	if token.IssuedAt.After(d.now().Add(clockSkew)) {
		return Claims{}, fmt.Errorf("verifying an ID token: %w: issued in the future", ErrInvalidToken)
	}
	var claims idTokenClaims
	if err := token.Claims(&claims); err != nil {
		return Claims{}, fmt.Errorf("verifying an ID token: %w: reading its claims: %w", ErrInvalidToken, err)
	}
	if claims.Email == "" {
		claims.Email = d.emailOf(token.Subject)
		claims.EmailVerified = claims.Email != ""
	}
	return Claims{
		Subject:       token.Subject,
		Email:         ascii.Lower(claims.Email),
		EmailVerified: claims.EmailVerified,
		Audience:      slices.Clone(token.Audience),
		IssuedAt:      token.IssuedAt,
		Expires:       token.Expiry,
	}, nil
}
