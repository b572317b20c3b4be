package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/berth-mcp/berth/internal/ascii"
)

const (
	// headerServerless is the header that Cloud Run checks when it is there;
	// headerAuthorization is the one it checks otherwise. See
	// https://cloud.google.com/run/docs/authenticating/service-to-service.
	headerServerless    = "X-Serverless-Authorization"
	headerAuthorization = "Authorization"

	// removedSignature is what Cloud Run puts in the place of the signature of
	// a token that it has checked, so that a service cannot replay it.
	removedSignature = "SIGNATURE_REMOVED_BY_GOOGLE"

	// maxToken bounds what is decoded, in bytes. Google's ID tokens have about
	// 1,200.
	maxToken = 16 << 10

	// clockSkew is how far this machine's clock may be from the platform's.
	clockSkew = 30 * time.Second
)

// CloudRun knows the caller by the ID token that Cloud Run's front end has
// checked before it let the request in.
//
// The signature is gone by then, so this verifier cannot check it, and has to
// be certain that the platform has. Hence three rules:
//
//   - It reads only the header that the platform checked. Where there is an
//     X-Serverless-Authorization, the platform passes Authorization through
//     unseen, and anything may be in it.
//   - It accepts that header only once. Of two, the platform may have checked
//     either one.
//   - It accepts only a token whose signature is the platform's placeholder.
//     A token that still has one was checked by nobody.
//
// Issuer and audience are the platform's to check, and it has: without the
// signature, checking them again would prove nothing.
type CloudRun struct {
	now func() time.Time
}

func newCloudRun(o Options) (Verifier, error) {
	if o.Getenv("K_SERVICE") == "" {
		return nil, errors.New("cloudrun trusts the platform to have checked each token, but this is not Cloud Run (K_SERVICE is not set): " +
			"anyone could say they are anyone; use dev on your own machine")
	}
	// Cloud Run sets PORT for the container that it sends requests to, and for
	// no other: https://cloud.google.com/run/docs/container-contract#env-vars.
	if o.Getenv("PORT") == "" {
		return nil, errors.New("cloudrun trusts the platform to have checked each token, but this container is not the one that gets the platform's requests (PORT is not set): " +
			"what reaches a sidecar comes from the container beside it; use dev there")
	}
	return CloudRun{now: time.Now}, nil
}

// claims are the parts of a Google ID token that say who the caller is.
type claims struct {
	Issuer        string  `json:"iss"`
	Email         string  `json:"email"`
	EmailVerified bool    `json:"email_verified"`
	Subject       string  `json:"sub"`
	Expires       float64 `json:"exp"` // seconds since 1970
}

// Verify implements [Verifier].
func (c CloudRun) Verify(r *http.Request) (Caller, error) {
	name := checkedHeader(r.Header)
	caller, err := c.caller(r.Header[name])
	if err != nil {
		return Caller{}, fmt.Errorf("header %s: %w", name, err)
	}
	return caller, nil
}

// checkedHeader is the header whose token the platform has checked. Presence
// decides, not content: an empty X-Serverless-Authorization must not bring
// back an Authorization that the platform has not looked at.
func checkedHeader(h http.Header) string {
	if _, ok := h[headerServerless]; ok {
		return headerServerless
	}
	return headerAuthorization
}

func (c CloudRun) caller(values []string) (Caller, error) {
	token, err := bearer(values)
	if err != nil {
		return Caller{}, err
	}
	claims, err := checkedClaims(token)
	if err != nil {
		return Caller{}, err
	}
	if claims.Expires <= 0 {
		return Caller{}, errors.New("the token does not say when it expires")
	}
	if late := float64(c.now().Unix()) - claims.Expires; late > clockSkew.Seconds() {
		return Caller{}, fmt.Errorf("the token expired %.0f s ago", late)
	}
	email, err := NormalizeEmail(claims.Email)
	if errors.Is(err, errNoEmail) {
		return Caller{}, errors.New("the token names no e-mail address; if a service account calls, ask for its ID token with the e-mail included")
	}
	if err != nil {
		return Caller{}, fmt.Errorf("the token's e-mail address: %w", err)
	}
	if !claims.EmailVerified {
		return Caller{}, errors.New("the token's e-mail address is not verified")
	}
	// The platform checks tokens of one issuer, so there is no other that could have
	// vouched for the address.
	return known(Caller{Issuer: claims.Issuer, Subject: claims.Subject, Email: email, ClaimsByEmail: true, Mode: ModeCloudRun})
}

// bearer takes the token out of the values of one header.
func bearer(values []string) (string, error) {
	if len(values) == 0 {
		return "", errors.New("it is missing")
	}
	// A comma joins repeated headers into one (RFC 9110, section 5.3), and is
	// in no bearer token (RFC 6750, section 2.1).
	if len(values) > 1 || strings.Contains(values[0], ",") {
		return "", errors.New("it is there more than once, and only one of them was checked")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !ascii.EqualFold(scheme, "Bearer") || token == "" {
		return "", errors.New("it is not of the form Bearer TOKEN")
	}
	return token, nil
}

// checkedClaims decodes a token that the platform has checked.
func checkedClaims(token string) (claims, error) {
	if len(token) > maxToken {
		return claims{}, fmt.Errorf("the token has more than %d bytes", maxToken)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, errors.New("the token is not a JWT")
	}
	if parts[2] != removedSignature {
		return claims{}, errors.New("the token still has its signature, so the platform has not checked it")
	}
	var header struct{}
	if err := decodePart(parts[0], &header); err != nil {
		return claims{}, errors.New("the token is not a JWT: its header is malformed")
	}
	var c claims
	if err := decodePart(parts[1], &c); err != nil {
		return claims{}, errors.New("the token is not a JWT: its claims are malformed")
	}
	return c, nil
}

// decodePart decodes a JSON object of a token by exact names, each of which may be
// there once. encoding/json would not do: it takes EMAIL for email, and of two the last.
func decodePart(part string, into any) error {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
