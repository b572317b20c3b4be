// Package identitytest makes requests look as Cloud Run hands them to a
// service. It is for tests, and must not know how they are checked.
package identitytest

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"time"
)

// Claims of a token; a nil value takes the claim out.
type Claims map[string]any

// PlatformToken is an ID token of email's as a service sees it: valid for an
// hour, its signature replaced by Cloud Run's placeholder. overrides replace
// single claims.
func PlatformToken(email string, overrides Claims) string {
	return Token(email, overrides, "SIGNATURE_REMOVED_BY_GOOGLE")
}

// Token is PlatformToken with a third segment of one's own.
func Token(email string, overrides Claims, signature string) string {
	now := time.Now()
	claims := Claims{
		"iss":            "https://accounts.google.com",
		"aud":            "764086051850.apps.googleusercontent.com",
		"sub":            "sub-of-" + email,
		"email":          email,
		"email_verified": true,
		"iat":            now.Unix(),
		"exp":            now.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, overrides)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return segment(map[string]string{"alg": "RS256", "typ": "JWT", "kid": "1"}) + "." + segment(claims) + "." + signature
}

// PlatformTokenOf is PlatformToken with claims as they are written, such as some that
// are there twice.
func PlatformTokenOf(claims string) string {
	return segment(map[string]string{"alg": "RS256"}) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".SIGNATURE_REMOVED_BY_GOOGLE"
}

func segment(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // a claim that JSON cannot hold
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
