package pathname_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/pathname"
)

// content is what people put where the path of a credentials file belongs.
const content = `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvTOPSECRETKEYBYTES\n-----END PRIVATE KEY-----\n","client_email":"sa@p.iam.gserviceaccount.com"}`

func TestCheck_RefusesWhatIsNoPath(t *testing.T) {
	t.Chdir(t.TempDir())
	inBase64 := base64.StdEncoding.EncodeToString([]byte(content))
	for name, value := range map[string]string{
		"nothing":                            "",
		"a key as JSON":                      content,
		"a key as JSON of many lines":        strings.ReplaceAll(content, `\n`, "\n"),
		"a key as JSON below a directory":    "/" + content,
		"JSON in base64":                     inBase64,
		"JSON in base64 of a URL":            base64.RawURLEncoding.EncodeToString([]byte(content)),
		"base64 that begins with a slash":    "/" + inBase64,
		"base64 with slashes":                strings.Repeat("ab/cdEF0+/", 20),
		"a short secret in base64":           "ab/cdEF0aP9xWq3Tz/ZxKm2uVn8sLr5yBd7gHj4kQeA=",
		"a short secret behind a slash":      "/x8fK2mQ9vLr5yBd7gHj4kQeAzXcVbNm",
		"a short secret with two slashes":    "SECRET//b",
		"a PEM file's content":               "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
		"an ID token":                        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EifQ.c2lnbmF0dXJl",
		"a refresh token":                    "1//0gAbCdEfGhIjKlMnOpQrStUvWxYz",
		"an access token":                    "ya29.a0AfH6SMBx",
		"a passphrase":                       "correct horse battery staple",
		"one name that is not there":         "proxy",
		"names that are not there":           "nowhere/proxy",
		"what is longer than a path can be":  "./" + strings.Repeat("a/", 4096),
		"a name that is longer than one is":  "./" + strings.Repeat("a", 300),
		"a path with a byte that none has":   "./a\x00b",
		"a secret below one that is there":   filepath.Join(t.TempDir(), content),
		"a secret with a path's extension":   content + ".json",
		"a long secret with that extension":  inBase64 + ".json",
		"a path with another line behind it": "/nowhere/key.json\nPRIVATE",
	} {
		t.Run(name, func(t *testing.T) {
			err := pathname.Check(pathname.File, value)
			require.ErrorContains(t, err, "must be the path of a file")
			if value != "" {
				assert.NotContains(t, err.Error(), value)
			}
			_, opening := os.Open(value)
			err = pathname.CheckError(pathname.File, opening)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "open ", "the error of the system repeats the value")
		})
	}
}

func TestCheck_AcceptsPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	odd := strings.Repeat("a", 100) + "={}"
	require.NoError(t, os.WriteFile(odd, nil, 0o600))
	require.NoError(t, os.Symlink("nowhere", "link"))
	for name, value := range map[string]string{
		"a file":                        filepath.Join(dir, odd),
		"a file by its name":            odd,
		"a directory":                   dir,
		"a link to nothing":             "link",
		"a mistyped name":               filepath.Join(dir, "application_default_credentails"),
		"a mistyped directory":          filepath.Join(dir, "confg", "gcloud", "credentials"),
		"a file of settings elsewhere":  filepath.FromSlash("/nowhere/ca.pem"),
		"a file of settings to be made": "berth.yaml",
		"any file to be made":           "./berth",
		"a file in the directory above": "../berth",
		"letters of any language":       "./Schlüssel (1).json",
	} {
		assert.NoError(t, pathname.Check(pathname.File, value), name)
	}
	_, opening := os.Open("berth.yaml")
	assert.Equal(t, opening, pathname.CheckError(pathname.File, opening))
	other := errors.New("something else")
	assert.Equal(t, other, pathname.CheckError(pathname.File, other))
}

func TestCheck_SaysWhatThePathLeadsTo(t *testing.T) {
	assert.ErrorContains(t, pathname.Check(pathname.Directory, content), "must be the path of a directory")
}
