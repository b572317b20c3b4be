package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// metadataPath is where the metadata of a protected resource are (RFC 9728,
// section 3), with the resource's own path behind it.
const metadataPath = "/.well-known/oauth-protected-resource"

// OIDC knows the caller by a user token of an OpenID provider in Authorization:
// an ID token, or an access token that is a JWT (RFC 9068).
//
// On Cloud Run, whose IAM has let the request in by the Google identity in
// X-Serverless-Authorization, this is the second of two tokens: the first says
// through which door the call came ([Caller.Via]), the second for whom it is
// made.
type OIDC struct {
	resource *url.URL
	issuers  map[string]*issuer
	// legacyIssuer is [OIDCConfig].LegacyIssuer.
	legacyIssuer string
	onPlatform   bool // behind Cloud Run's IAM
	platform     CloudRun
	now          func() time.Time
}

func newOIDC(o Options) (Verifier, error) {
	if err := o.OIDC.Check(); err != nil {
		return nil, err
	}
	resource, err := url.Parse(o.OIDC.Resource)
	if err != nil {
		return nil, fmt.Errorf("oidc.resource: %w", err) // it was checked
	}
	v := &OIDC{
		resource:     resource,
		issuers:      make(map[string]*issuer, len(o.OIDC.Issuers)),
		legacyIssuer: o.OIDC.LegacyIssuer,
		onPlatform:   o.Getenv("K_SERVICE") != "",
		platform:     CloudRun{now: time.Now},
		now:          time.Now,
	}
	for _, config := range o.OIDC.Issuers {
		v.issuers[config.URL] = newIssuer(config, func() time.Time { return v.now() })
	}
	return v, nil
}

// Verify implements [Verifier]. It asks an issuer for its keys when it first
// meets one of its tokens, when it meets one that is signed with a new key, and
// each hour.
func (v *OIDC) Verify(r *http.Request) (Caller, error) {
	var via string
	if v.onPlatform {
		door, err := v.platform.caller(r.Header[headerServerless])
		if err != nil {
			return Caller{}, fmt.Errorf("header %s, which opens the door: %w", headerServerless, err)
		}
		via = door.Email
	}
	raw, err := bearer(r.Header[headerAuthorization])
	if err != nil {
		return Caller{}, fmt.Errorf("header %s, which says for whom: %w", headerAuthorization, err)
	}
	caller, err := v.user(r.Context(), raw)
	if err != nil {
		return Caller{}, fmt.Errorf("header %s, which says for whom: %w", headerAuthorization, err)
	}
	caller.Via = via
	return caller, nil
}

// user verifies a user's token.
func (v *OIDC) user(ctx context.Context, raw string) (Caller, error) {
	keyID, claims, err := readToken(raw)
	if err != nil {
		return Caller{}, err
	}
	issuer, ok := v.issuers[claims.issuer()]
	if !ok {
		return Caller{}, errors.New("the token is of an issuer that is not configured")
	}
	token, err := issuer.verify(ctx, raw, keyID)
	if err != nil {
		return Caller{}, err
	}
	caller, err := issuer.caller(token, claims, v.now())
	if err != nil {
		return Caller{}, err
	}
	caller.ClaimsByEmail = v.ownsAddress(issuer, caller.Email)
	return caller, nil
}

// ownsAddress reports whether records that name only an address are of the issuer's
// caller: it is the one that the operator has named, or no other may speak for the
// address.
func (v *OIDC) ownsAddress(of *issuer, email string) bool {
	if v.legacyIssuer != "" {
		return of.config.URL == v.legacyIssuer
	}
	for _, other := range v.issuers {
		if other != of && other.speaksFor(email) {
			return false
		}
	}
	return true
}

// tokenClaims are a token's claims by their exact names; see [decodePart].
type tokenClaims map[string]json.RawMessage

// issuer is who a token says it is from, which decides what is to prove it.
func (c tokenClaims) issuer() string {
	issuer := c.text("iss")
	if issuer == googleIssuerShort {
		return GoogleIssuer
	}
	return issuer
}

// text is a claim that is a string; empty if it is missing, or of another type.
func (c tokenClaims) text(name string) string {
	var text string
	if json.Unmarshal(c[name], &text) != nil {
		return ""
	}
	return text
}

// texts is a claim that is a list of strings, or one string by itself.
func (c tokenClaims) texts(name string) []string {
	var texts []string
	if json.Unmarshal(c[name], &texts) == nil {
		return texts
	}
	if text := c.text(name); text != "" {
		return []string{text}
	}
	return nil
}

// readToken reads which of its issuer's keys a token says it is signed with, and what
// it claims, before any of it is proved.
func readToken(raw string) (keyID string, claims tokenClaims, err error) {
	if len(raw) > maxToken {
		return "", nil, fmt.Errorf("the token has more than %d bytes", maxToken)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return "", nil, errors.New("the token is not a JWT")
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := decodePart(parts[0], &header); err != nil {
		return "", nil, errors.New("the token is not a JWT: its header is malformed")
	}
	if err := decodePart(parts[1], &claims); err != nil {
		return "", nil, errors.New("the token is not a JWT: its claims are malformed")
	}
	return header.KeyID, claims, nil
}

// checkedAreThese reports whether issuer and expiry, as they were checked, are the
// claims of exactly these names: the library that checked them takes ISS and Exp, too.
func (c tokenClaims) checkedAreThese(token *oidc.IDToken) bool {
	var expires float64
	err := json.Unmarshal(c["exp"], &expires)
	return err == nil && int64(expires) == token.Expiry.Unix() && c.text("iss") == token.Issuer
}

// caller takes the caller out of a token whose signature, issuer and expiry hold.
func (i *issuer) caller(token *oidc.IDToken, claims tokenClaims, now time.Time) (Caller, error) {
	if !claims.checkedAreThese(token) {
		return Caller{}, errors.New("the token has a claim whose name differs from iss or exp in case alone")
	}
	if !slices.ContainsFunc(claims.texts("aud"), func(aud string) bool { return slices.Contains(i.config.Audiences, aud) }) {
		return Caller{}, errors.New("the token is for another audience")
	}
	var notBefore float64
	if raw, ok := claims["nbf"]; ok && json.Unmarshal(raw, &notBefore) != nil {
		return Caller{}, errors.New("the token's claim nbf is not a number")
	}
	if early := notBefore - float64(now.Unix()); early > clockSkew.Seconds() {
		return Caller{}, fmt.Errorf("the token is not valid for another %.0f s", early)
	}
	email, err := i.email(claims)
	if err != nil {
		return Caller{}, err
	}
	return known(Caller{
		Issuer:  claims.issuer(),
		Subject: claims.text("sub"),
		Email:   email,
		Groups:  i.groups(claims),
		Mode:    ModeOIDC,
	})
}

// email is the address that the issuer vouches for.
func (i *issuer) email(claims tokenClaims) (string, error) {
	email, err := NormalizeEmail(claims.text(i.config.EmailClaim))
	if errors.Is(err, errNoEmail) {
		return "", fmt.Errorf("the token names no e-mail address in its claim %s", i.config.EmailClaim)
	}
	if err != nil {
		return "", fmt.Errorf("the token's e-mail address, in its claim %s: %w", i.config.EmailClaim, err)
	}
	// Some providers write the claim as a string.
	verified, said := strings.Trim(string(claims["email_verified"]), `"`), claims["email_verified"] != nil
	if verified != "true" && (said || !i.config.UnverifiedEmail) {
		return "", errors.New("the token's e-mail address is not verified")
	}
	if !i.speaksFor(email) {
		return "", errors.New("the token's e-mail address is in a domain that its issuer does not speak for")
	}
	return email, nil
}

// speaksFor reports whether the issuer is believed about an address.
func (i *issuer) speaksFor(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return len(i.config.Domains) == 0 || slices.Contains(i.config.Domains, domain)
}

// groups are those that the token lists; some providers write a single one
// without brackets.
func (i *issuer) groups(claims tokenClaims) []string {
	names := claims.texts(i.config.GroupsClaim)
	for n, name := range names {
		names[n] = i.config.GroupPrefix + name
	}
	return names
}

// MetadataHandler serves the metadata by which a client finds the issuers (RFC
// 9728), at [OIDC.MetadataPaths].
func (v *OIDC) MetadataHandler(name string) http.Handler {
	metadata := &oauthex.ProtectedResourceMetadata{
		Resource:               v.resource.String(),
		BearerMethodsSupported: []string{"header"},
		ResourceName:           name,
	}
	for url := range v.issuers {
		metadata.AuthorizationServers = append(metadata.AuthorizationServers, url)
	}
	slices.Sort(metadata.AuthorizationServers)
	return auth.ProtectedResourceMetadataHandler(metadata)
}

// MetadataPaths are where clients look for the metadata of /mcp.
func (v *OIDC) MetadataPaths() []string {
	return []string{metadataPath, metadataPath + "/mcp"}
}

// challenge implements challenger (RFC 9728, section 5.1). What exactly is wrong
// with a token is not its sender's to know.
func (v *OIDC) challenge(r *http.Request) string {
	at := *v.resource
	at.Path = metadataPath + strings.TrimSuffix(v.resource.Path, "/")
	challenge := fmt.Sprintf("Bearer resource_metadata=%q", at.String())
	if _, sent := r.Header[headerAuthorization]; sent {
		challenge += `, error="invalid_token"`
	}
	return challenge
}
