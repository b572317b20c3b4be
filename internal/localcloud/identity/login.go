package identity

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"
)

// clientID is the OAuth client of every login, as gcloud's own is: the
// audience of the ID tokens that a login yields.
const clientID = "local-cloud.apps.googleusercontent.com"

// A login is what one refresh token stands for.
type login struct {
	email   string
	revoked bool
}

type accessToken struct {
	email   string
	expires time.Time
}

// ClientID returns the id of the OAuth client through which people log in.
// It is the audience of the ID tokens that the token endpoint answers with.
func (d *Directory) ClientID() string { return clientID }

// Login logs a person in, as `gcloud auth application-default login` does,
// and returns the content of the credentials file that it leaves: JSON of
// type authorized_user with a refresh token. A person may log in many times.
// ErrNotFound if there is no such person.
func (d *Directory) Login(email string) ([]byte, error) {
	email, err := normalize(email)
	if err != nil {
		return nil, err
	}
	refreshToken := "1//" + rand.Text() + rand.Text()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kinds[email] != person {
		return nil, fmt.Errorf("logging in as %s: the person %w: add them first", email, ErrNotFound)
	}
	d.logins[refreshToken] = login{email: email}
	return json.MarshalIndent(map[string]string{
		"type":          "authorized_user",
		"client_id":     clientID,
		"client_secret": d.clientSecret,
		"refresh_token": refreshToken,
		// Where the login belongs: nobody is to send it to Google.
		"token_uri": d.issuer + "/token",
	}, "", "  ")
}

// Logout revokes every refresh and access token of a person. ID tokens
// already issued stay valid until they expire, as Google's do.
func (d *Directory) Logout(email string) {
	email, err := normalize(email)
	if err != nil {
		return // nobody, so nothing to revoke
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revoke(email)
}

// revoke keeps revoked refresh tokens, since the endpoint answers them
// otherwise than ones it never issued. The caller holds mu.
func (d *Directory) revoke(email string) {
	for token, l := range d.logins {
		if l.email == email {
			d.logins[token] = login{email: email, revoked: true}
		}
	}
	for token, a := range d.accessTokens {
		if a.email == email {
			delete(d.accessTokens, token)
		}
	}
}

// AccessToken returns an opaque token with which the APIs know a person or a
// service account. ErrNotFound if there is no such identity.
func (d *Directory) AccessToken(email string) (string, error) {
	email, err := normalize(email)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	token, _, err := d.newAccessToken(email, d.lifetime)
	return token, err
}

// ShortLivedAccessToken is AccessToken for a time, at most that of every token
// here; 0 is that. It also returns when the token expires.
func (d *Directory) ShortLivedAccessToken(email string, lifetime time.Duration) (string, time.Time, error) {
	email, err := normalize(email)
	if err != nil {
		return "", time.Time{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newAccessToken(email, min(cmp.Or(lifetime, d.lifetime), d.lifetime))
}

// newAccessToken also forgets expired tokens, so that their number is bounded
// by those of one lifetime. The caller holds mu.
func (d *Directory) newAccessToken(email string, lifetime time.Duration) (string, time.Time, error) {
	if k, ok := d.kinds[email]; !ok || k == group {
		return "", time.Time{}, fmt.Errorf("issuing an access token to %s: the person or service account %w", email, ErrNotFound)
	}
	now := d.now()
	for token, a := range d.accessTokens {
		if !now.Before(a.expires) {
			delete(d.accessTokens, token)
		}
	}
	token := "ya29.local-" + rand.Text() + rand.Text()
	expires := now.Add(lifetime)
	d.accessTokens[token] = accessToken{email: email, expires: expires}
	return token, expires, nil
}

// Authenticate returns whose access token this is. ErrInvalidToken if it is
// unknown, expired or revoked.
func (d *Directory) Authenticate(token string) (email string, err error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	a, ok := d.accessTokens[token]
	if !ok || !d.now().Before(a.expires) {
		return "", fmt.Errorf("authenticating an access token: %w: it is unknown, expired or revoked", ErrInvalidToken)
	}
	return a.email, nil
}
