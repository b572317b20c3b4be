package enginetest

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/stretchr/testify/require"
)

// IDToken logs a person in and gives what the token endpoint answers.
func IDToken(t *testing.T, cloud *localcloud.Cloud, email string) string {
	t.Helper()
	login, err := cloud.Directory().Login(email)
	require.NoError(t, err)
	var adc map[string]string
	require.NoError(t, json.Unmarshal(login, &adc))
	response, err := http.PostForm(cloud.TokenURL(), url.Values{
		"grant_type":    {"refresh_token"},
		"client_id":     {adc["client_id"]},
		"client_secret": {adc["client_secret"]},
		"refresh_token": {adc["refresh_token"]},
	})
	require.NoError(t, err)
	defer response.Body.Close()
	var tokens struct {
		IDToken string `json:"id_token"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&tokens))
	require.NotEmpty(t, tokens.IDToken)
	return tokens.IDToken
}

// Get is what a person who asks for an address is answered.
func Get(t *testing.T, cloud *localcloud.Cloud, email, address string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Header.Set("X-Serverless-Authorization", "Bearer "+IDToken(t, cloud, email))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

// Teller is the source of a server that tells what it was given: /env/NAME is a
// variable, /file/NAME what is in the file that the variable names, /args the
// arguments, /ask/PORT/… what a neighbour on localhost answers to the rest of the
// path, and anything else is well. It listens on LISTEN_PORT, or PORT.
func Teller(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/teller\n\ngo 1.24\n",
		"main.go": `package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	port := cmp.Or(os.Getenv("LISTEN_PORT"), os.Getenv("PORT"))
	_ = http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch kind {
		case "env":
			fmt.Fprint(w, os.Getenv(name))
		case "file":
			content, err := os.ReadFile(os.Getenv(name))
			fmt.Fprint(w, string(content))
			if err != nil {
				fmt.Fprint(w, err)
			}
		case "ask":
			neighbour, path, _ := strings.Cut(name, "/")
			response, err := http.Get("http://localhost:" + neighbour + "/" + path)
			if err != nil {
				fmt.Fprint(w, err)
				return
			}
			defer response.Body.Close()
			_, _ = io.Copy(w, response.Body)
		case "args":
			fmt.Fprint(w, strings.Join(os.Args[1:], " "))
		default:
			fmt.Fprint(w, "well")
		}
	}))
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

// Bearer adds an access token to every request.
type Bearer string

// RoundTrip implements [http.RoundTripper].
func (b Bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// PutObject writes an object as the operator, by whom owners' grants are used.
func PutObject(t *testing.T, cloud *localcloud.Cloud, bucket, name string) {
	t.Helper()
	at := strings.TrimSuffix(cloud.StorageURL(), "/storage/v1/") + "/upload/storage/v1/b/" + bucket + "/o?uploadType=media&name=" + name
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader("{}"))
	require.NoError(t, err)
	resp, err := Bearer(cloud.ProviderConfig()["gcp:accessToken"]).RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
}

// EverythingBelow is what all files in a directory hold.
func EverythingBelow(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	}))
	return all.String()
}
