package token

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"cloud.google.com/go/auth/credentials"
)

const logIn = "run `gcloud auth application-default login`"

// A login file is about 400 bytes; the largest credential file of any type is a few
// kilobytes.
const maxLoginBytes = 64 << 10

// adcFile is where Application Default Credentials are: where the variable of Google's
// libraries says, or where gcloud writes them.
func adcFile() (file string, named bool) {
	if f := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); f != "" {
		return f, true
	}
	return filepath.Join(gcloudDir(), "application_default_credentials.json"), false
}

// gcloudDir is where gcloud keeps its files.
func gcloudDir() string {
	if dir := os.Getenv("CLOUDSDK_CONFIG"); dir != "" {
		return dir
	}
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("APPDATA"), "gcloud")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = "" // no home, no login: reading the file says so
	}
	return filepath.Join(home, ".config", "gcloud")
}

// fromFile reads Application Default Credentials of any type. Each is told by its type
// field.
func (o *Options) fromFile(file string) (credential, error) {
	content, err := readLogin(file)
	if err != nil {
		return nil, err
	}
	return o.fromJSON(file, content)
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

// readLogin reads the file, if that is a file: a pipe would be waited for, and a device may
// have no end.
func readLogin(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, loginError("there is no login at %s: %s", file, logIn)
	case err != nil:
		return nil, loginError("cannot read the login: %v", err)
	case !info.Mode().IsRegular():
		return nil, loginError("%s is not a regular file, as a login must be: %s", file, logIn)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, loginError("cannot read the login: %v", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxLoginBytes+1))
	switch {
	case err != nil:
		return nil, loginError("cannot read the login: %v", err)
	case len(content) > maxLoginBytes:
		return nil, loginError("%s is larger than %d KiB, too large for a login: %s", file, maxLoginBytes>>10, logIn)
	}
	return content, nil
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
