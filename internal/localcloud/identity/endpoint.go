package identity

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"time"
)

const (
	// maxForm bounds the body of a token request, in bytes.
	maxForm = 64 << 10
	// scope is what `gcloud auth application-default login` asks for.
	scope = "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform"
)

// Handler serves the issuer: POST /token (the refresh-token grant), GET
// /certs (the JWKS) and GET /.well-known/openid-configuration. Bodies and
// errors have the shape of Google's.
func (d *Directory) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", d.serveToken)
	mux.HandleFunc("GET /certs", d.serveCerts)
	mux.HandleFunc("GET /.well-known/openid-configuration", d.serveDiscovery)
	return mux
}

// oauthError is the error body of RFC 6749, section 5.2.
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// The answers of Google's token endpoint.
var (
	errInvalidClient    = &oauthError{http.StatusUnauthorized, "invalid_client", "The OAuth client was not found."}
	errUnsupportedGrant = &oauthError{http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: only refresh_token is served here."}
	errMalformed        = &oauthError{http.StatusBadRequest, "invalid_request", "Malformed or too large form."}
	errUnknownGrant     = &oauthError{http.StatusBadRequest, "invalid_grant", "Bad Request"}
	errRevokedGrant     = &oauthError{http.StatusBadRequest, "invalid_grant", "Token has been expired or revoked."}
	errInternal         = &oauthError{http.StatusInternalServerError, "internal_failure", ""}
)

type tokenResponse struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
	Scope       string `json:"scope"`
	TokenType   string `json:"token_type"`
	IDToken     string `json:"id_token"`
}

func (d *Directory) serveToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	response, refused := d.grant(r)
	if refused != nil {
		writeJSON(w, refused.status, refused)
		return
	}
	writeJSON(w, http.StatusOK, response)
}

func (d *Directory) grant(r *http.Request) (*tokenResponse, *oauthError) {
	if err := r.ParseForm(); err != nil {
		return nil, errMalformed
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		id, secret = user, password
	}
	if id != clientID || subtle.ConstantTimeCompare([]byte(secret), []byte(d.clientSecret)) != 1 {
		return nil, errInvalidClient
	}
	if r.PostForm.Get("grant_type") != "refresh_token" {
		return nil, errUnsupportedGrant
	}
	email, access, refused := d.redeem(r.PostForm.Get("refresh_token"))
	if refused != nil {
		return nil, refused
	}
	idToken, err := d.IDToken(email, clientID)
	if err != nil {
		return nil, errRevokedGrant // removed a moment ago
	}
	return &tokenResponse{
		AccessToken: access,
		ExpiresIn:   int64(d.lifetime / time.Second),
		Scope:       scope,
		TokenType:   "Bearer",
		IDToken:     idToken,
	}, nil
}

// redeem exchanges a refresh token for the person's address and an access
// token.
func (d *Directory) redeem(refreshToken string) (email, access string, refused *oauthError) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.logins[refreshToken]
	if !ok {
		return "", "", errUnknownGrant
	}
	if l.revoked {
		return "", "", errRevokedGrant
	}
	access, _, err := d.newAccessToken(l.email, d.lifetime)
	if err != nil {
		return "", "", errInternal // unreachable: removing a person revokes their logins
	}
	return l.email, access, nil
}

func (d *Directory) serveCerts(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, d.keys)
}

func (d *Directory) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                d.issuer,
		"token_endpoint":                        d.issuer + "/token",
		"jwks_uri":                              d.issuer + "/certs",
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"claims_supported":                      []string{"aud", "azp", "email", "email_verified", "exp", "hd", "iat", "iss", "sub"},
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}
