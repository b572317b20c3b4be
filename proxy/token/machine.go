package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"cloud.google.com/go/compute/metadata"
)

// A machine is the service account that a machine of Google Cloud has. Its metadata server
// gives tokens to whoever asks there.
type machine struct {
	// onlyIf is the login file that would have been preferred, if the machine was not asked
	// for: then it must first turn out to be one of Google's.
	onlyIf string
}

func (m *machine) String() string        { return "the service account of this machine" }
func (m *machine) choosesAudience() bool { return true }

func (m *machine) idToken(ctx context.Context, audience string) (Token, error) {
	raw, err := m.get(ctx, "instance/service-accounts/default/identity?"+url.Values{"audience": {audience}, "format": {"full"}}.Encode())
	if err != nil {
		return Token{}, err
	}
	return parseNew(raw, "the metadata server")
}

func (m *machine) accessToken(ctx context.Context) (string, error) {
	raw, err := m.get(ctx, "instance/service-accounts/default/token?"+url.Values{"scopes": {cloudPlatform}}.Encode())
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(raw), &answer); err != nil || answer.Token == "" {
		return "", errors.New("the metadata server gave an answer that is not a token")
	}
	return answer.Token, nil
}

func (m *machine) get(ctx context.Context, path string) (string, error) {
	// No proxy: the server is this machine's own.
	client := metadata.NewWithOptions(&metadata.Options{
		Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second},
		Logger: silent,
	})
	if m.onlyIf != "" && !client.OnGCEWithContext(ctx) {
		return "", loginError("there is no login at %s, and no gcloud command: install it from https://cloud.google.com/sdk/docs/install, then %s", m.onlyIf, logIn)
	}
	answer, err := client.GetWithContext(ctx, path)
	var failed *metadata.Error
	var undefined metadata.NotDefinedError
	switch {
	case err == nil:
		return answer, nil
	case errors.As(err, &undefined):
		return "", loginError("this machine has no service account: give it one, or %s", logIn)
	case errors.As(err, &failed):
		return "", fmt.Errorf("the metadata server answered %d: try again in a minute", failed.Code)
	}
	var cause *url.Error
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return "", loginError("reach the metadata server, which only a machine of Google Cloud has: %v: if this is none, %s", err, logIn)
}
