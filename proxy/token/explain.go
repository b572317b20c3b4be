package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/auth"

	"github.com/berth-mcp/berth/internal/pathname"
)

// An exchange is what a failure is explained for.
type exchange struct {
	who    string // the login, at the beginning of a sentence's middle: "your login in FILE"
	url    string // the token endpoint
	remedy string // what to do if the login is refused
}

// explain turns the failure of an exchange into a sentence. It takes nothing from the
// answer but the error's code, as a body might repeat what was sent.
func (e exchange) explain(err error) error {
	var refused *auth.Error
	if !errors.As(err, &refused) || refused.Response == nil {
		// A url.Error's text is the URL and the cause; the token is in neither.
		var failed *url.Error
		if errors.As(err, &failed) {
			return fmt.Errorf("reach the token endpoint %s: %w: check the network and try again", showURL(e.url), failed.Err)
		}
		return fmt.Errorf("the token endpoint %s gave an answer that is not a token", showURL(e.url))
	}
	var answer struct {
		Code    string `json:"error"`
		Subtype string `json:"error_subtype"`
	}
	_ = json.Unmarshal(refused.Body, &answer) // not JSON: the status alone must do
	switch {
	case answer.Code == "invalid_grant" && answer.Subtype == "invalid_rapt", answer.Code == "invalid_rapt":
		return loginError("your organisation asks you to log in again (invalid_rapt): %s", e.remedy)
	case answer.Code == "invalid_grant":
		return loginError("%s has expired or was revoked (invalid_grant): %s", e.who, e.remedy)
	case answer.Code == "invalid_client", answer.Code == "unauthorized_client", answer.Code == "deleted_client":
		return loginError("%s was made by a program that may not use it any more (%s): %s", e.who, answer.Code, e.remedy)
	}
	return fmt.Errorf("the token endpoint %s answered %d: try again in a minute", showURL(e.url), refused.Response.StatusCode)
}

// explainExternal is the same for an external account, whose way to a token has several
// steps. The library's text is passed on only where no answer and no program's output can
// be in it.
func explainExternal(who string, client *client, runs bool, err error) error {
	var missing *fs.PathError
	var failed *url.Error
	switch f := client.lastFailure(); {
	case f != nil:
		to := showURL(f.url.String())
		if f.status >= http.StatusInternalServerError {
			return fmt.Errorf("get a token with %s: %s answered %d: try again in a minute", who, to, f.status)
		}
		return loginError("get a token with %s: %s answered %d: check that identity pool and source of the file are right, and that the source's own login has not ended", who, to, f.status)
	case errors.As(err, &failed):
		return fmt.Errorf("get a token with %s: reach %s: %w: check the network and try again", who, showURL(failed.URL), failed.Err)
	case errors.As(err, &missing):
		return loginError("get a token with %s: its source: %v: see to it that the file's source is there", who, pathname.CheckError(pathname.File, missing))
	case strings.Contains(err.Error(), "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"):
		return loginError("get a token with %s: its source is a program, which is run only if GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES is 1: set that, if you trust the file", who)
	case client.heard() || runs:
		return fmt.Errorf("get a token with %s: its source gave an answer that is not a token: run the source by itself, and correct it", who)
	}
	return loginError("get a token with %s: %v", who, err)
}
