package token

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"cloud.google.com/go/auth/credentials"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/ownfile"
)

const logIn = "run `gcloud auth application-default login`"

// A login file is about 400 bytes; the largest credential file of any type is a few
// kilobytes.
var loginKind = ownfile.Kind{Name: "a login", Bytes: 64 << 10, Private: true}

// adcVariable names the file of Application Default Credentials, for Google's libraries too.
const adcVariable = "GOOGLE_APPLICATION_CREDENTIALS"

// loginFile is where Application Default Credentials are: where the options or the variable
// of Google's libraries say, or where gcloud writes them.
func (o *Options) loginFile() (file string, named bool, err error) {
	if o.File != "" {
		return o.File, true, nil
	}
	if file := os.Getenv(adcVariable); file != "" {
		if err := pathname.Check(pathname.File, file); err != nil {
			return "", true, loginError("%s: %v", adcVariable, err)
		}
		return file, true, nil
	}
	dir, err := gcloudDir()
	return filepath.Join(dir, "application_default_credentials.json"), false, err
}

// gcloudDir is where gcloud keeps its files.
func gcloudDir() (string, error) {
	const variable = "CLOUDSDK_CONFIG"
	if dir := os.Getenv(variable); dir != "" {
		if err := pathname.Check(pathname.Directory, dir); err != nil {
			return "", loginError("%s: %v", variable, err)
		}
		return dir, nil
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("APPDATA"), "gcloud"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // no home, no login: reading the file says so
	}
	return filepath.Join(home, ".config", "gcloud"), nil
}

// fromFile reads Application Default Credentials of any type. Each is told by its type
// field.
func (o *Options) fromFile(file string) (credential, error) {
	content, err := readLogin(file)
	if err != nil {
		return nil, err
	}
	c, err := o.fromJSON(file, content)
	if err == nil && ownfile.IsReadableByOthers(file) {
		o.Logger.Warn("other users of this computer can read your login: make it yours alone with chmod 600", "file", file)
	}
	return c, err
}

func (o *Options) fromJSON(file string, content []byte) (credential, error) {
	var head struct {
		Type credentials.CredType `json:"type"`
	}
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, loginError("%s is not JSON: %s", file, logIn)
	}
	read, known := map[credentials.CredType]func(file string, content []byte) (credential, error){
		credentials.AuthorizedUser:                o.userFrom,
		credentials.ServiceAccount:                o.serviceAccountFrom,
		credentials.ImpersonatedServiceAccount:    o.impersonatedFrom,
		credentials.ExternalAccount:               o.externalFrom,
		credentials.ExternalAccountAuthorizedUser: o.workforceFrom,
	}[head.Type]
	if !known {
		return nil, loginError("%s holds credentials of type %q, which are not supported: unset GOOGLE_APPLICATION_CREDENTIALS or %s", file, head.Type, logIn)
	}
	return read(file, content)
}

func readLogin(file string) ([]byte, error) {
	content, err := loginKind.Read(file)
	var unsafe *ownfile.UnsafeError
	var failed *fs.PathError
	switch {
	case err == nil:
		return content, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, loginError("there is no login at %s: %s", file, logIn)
	case errors.As(err, &unsafe):
		return nil, loginError("the login is not used: %v", err)
	case errors.As(err, &failed):
		return nil, loginError("cannot read the login: %v", err)
	}
	return nil, loginError("%v: %s", err, logIn)
}

// belongs checks that a login may be sent to the token endpoint. A refresh token is worth
// as much as a password: it goes to the endpoint it came from, and to no other that someone
// was talked into configuring. A cloud on this machine writes where its logins belong;
// gcloud does not, and its are Google's.
func (o *Options) belongs(file, tokenURI string) error {
	home := cmp.Or(tokenURI, GoogleTokenURL)
	if home == o.TokenURL {
		return nil
	}
	return loginError("the login in %s belongs to the token endpoint %s, so that it was not sent to %s: set --token-url to the endpoint of the login, or GOOGLE_APPLICATION_CREDENTIALS to a login of that endpoint",
		file, showURL(home), showURL(o.TokenURL))
}

// A LoginError says that there is no login to get tokens with, or that the one there is
// has ended. Only a person can mend it; the message says how.
type LoginError struct{ msg string }

func (e *LoginError) Error() string { return e.msg }

func loginError(format string, args ...any) *LoginError {
	return &LoginError{fmt.Sprintf(format, args...)}
}
