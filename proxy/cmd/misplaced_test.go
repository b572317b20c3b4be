package cmd

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// A misplaced secret is one that somebody gave where the path of a file belongs, with a piece
// of it that no output may have.
type misplaced struct{ value, piece string }

func misplacedSecrets() map[string]misplaced {
	const key = `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvTOPSECRETKEYBYTES\n-----END PRIVATE KEY-----\n","client_email":"sa@p.iam.gserviceaccount.com"}`
	inBase64 := base64.StdEncoding.EncodeToString([]byte(key))
	jwt := tokentest.JWT(map[string]any{"iss": "https://accounts.google.com", "email": "ci@example.com", "exp": time.Now().Add(time.Hour).Unix()})
	return map[string]misplaced{
		"a key":               {key, "TOPSECRETKEYBYTES"},
		"a key of many lines": {strings.ReplaceAll(key, `\n`, "\n"), "TOPSECRETKEYBYTES"},
		"a key in base64":     {inBase64, inBase64[40:80]},
		"an ID token":         {jwt, strings.Split(jwt, ".")[1]},
		"a PEM file":          {"-----BEGIN CERTIFICATE-----\nTOPSECRETPEMBYTES\n-----END CERTIFICATE-----\n", "TOPSECRETPEMBYTES"},
	}
}

// The developer's editor shows the error to a model, and the log goes to a file.
func TestServe_ShowsNoSecretInPlaceOfALogin(t *testing.T) {
	for name, secret := range misplacedSecrets() {
		for _, variable := range []string{"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"} {
			t.Run(variable+" is "+name, func(t *testing.T) {
				w := newWorld(t)
				w.login = ""
				w.extra = []string{variable + "=" + secret.value, "BERTH_PROXY_LOG_LEVEL=debug"}
				r := serve(t, w, 1, "acme="+echo(t, "acme"))
				for _, path := range []string{"/mcp", "/readiness", "/acme/sse"} {
					var resp *http.Response
					var err error
					if path == "/mcp" {
						resp, err = http.Post(r.url+path, "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
					} else {
						resp, err = http.Get(r.url + path)
					}
					require.NoError(t, err)
					body, err := io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
					assert.Contains(t, string(body), variable+": must be the path of a ", path)
					assert.NotContains(t, string(body), secret.piece, path)
				}
				r.logs(t, variable+": must be the path of a ")
				assert.NotContains(t, r.log.String(), secret.piece)
			})
		}
	}
}

func TestStdio_ShowsNoSecretInPlaceOfALogin(t *testing.T) {
	for name, secret := range misplacedSecrets() {
		w := newWorld(t)
		var env []string
		for name, value := range w.environment() {
			env = append(env, name+"="+value)
		}
		c := command(t, build(t), append(env, "GOOGLE_APPLICATION_CREDENTIALS="+secret.value), "stdio", "--log-level=debug", "acme="+echo(t, "acme"))
		var out bytes.Buffer
		c.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n")
		c.Stdout, c.Stderr = &out, &out
		require.NoError(t, c.Run(), out.String())
		assert.Contains(t, out.String(), "GOOGLE_APPLICATION_CREDENTIALS: must be the path of a file", name)
		assert.NotContains(t, out.String(), secret.piece, name)
	}
}

// Every place of a path and every command that could show or keep its value.
func TestCommands_NeitherShowNorKeepASecretInPlaceOfAPath(t *testing.T) {
	all := [][]string{
		{"acme=http://127.0.0.1:9"}, // serve
		{"doctor", "acme"},
		{"doctor", "--json", "acme"},
		{"list"},
		{"add", "globex=http://127.0.0.1:9"},
		{"remove", "acme"},
		{"service", "print"},
		{"service", "install"},
		{"install", "cursor", "--stdio", "--dry-run"},
		{"install", "cursor", "--stdio"},
	}
	kept := [][]string{{"doctor", "acme"}, {"service", "print"}, {"service", "install"}}
	services := kept[1:]
	installs := [][]string{{"install", "--list"}, {"install", "codex", "claude-code", "--stdio"}, {"doctor", "acme"}}
	for place, test := range map[string]struct {
		commands [][]string
		variable string // that has the secret
		flag     string // or else a flag, or a line of the file
		line     string
	}{
		"GOOGLE_APPLICATION_CREDENTIALS": {kept, "GOOGLE_APPLICATION_CREDENTIALS", "", ""},
		"CLOUDSDK_CONFIG":                {kept, "CLOUDSDK_CONFIG", "", ""},
		"SSL_CERT_FILE":                  {services, "SSL_CERT_FILE", "", ""},
		"SSL_CERT_DIR":                   {services, "SSL_CERT_DIR", "", ""},
		"XDG_CONFIG_HOME":                {services, "XDG_CONFIG_HOME", "", ""},
		"CODEX_HOME":                     {installs, "CODEX_HOME", "", ""},
		"CLAUDE_CONFIG_DIR":              {installs, "CLAUDE_CONFIG_DIR", "", ""},
		"--token-file":                   {all, "", "--token-file", ""},
		"BERTH_PROXY_TOKEN_FILE":         {all, "BERTH_PROXY_TOKEN_FILE", "", ""},
		"proxy.yaml:1: token-file":       {all, "", "", "token-file"},
		"--ca-file":                      {all, "", "--ca-file", ""},
		"BERTH_PROXY_CA_FILE":            {all, "BERTH_PROXY_CA_FILE", "", ""},
		"proxy.yaml:1: ca-file":          {all, "", "", "ca-file"},
		"--config":                       {all, "", "--config", ""},
		"BERTH_PROXY_CONFIG":             {all, "BERTH_PROXY_CONFIG", "", ""},
	} {
		for name, secret := range misplacedSecrets() {
			t.Run(place+" is "+name, func(t *testing.T) {
				home := t.TempDir()
				require.NoError(t, os.Mkdir(filepath.Join(home, ".cursor"), 0o700))
				file := filepath.Join(home, "proxy.yaml")
				var line string
				if test.line != "" {
					quoted, err := json.Marshal(secret.value) // which YAML reads, too
					require.NoError(t, err)
					line = test.line + ": " + string(quoted) + "\n"
				}
				content := line + "token-url: http://127.0.0.1:9/token\nclients:\n  acme: {url: http://127.0.0.1:9}\n"
				require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
				env := []string{"BERTH_PROXY_CONFIG=" + file}
				if test.variable != "" {
					env = append(env, test.variable+"="+secret.value)
				}
				for _, args := range test.commands {
					if test.flag != "" {
						args = append(args[:len(args):len(args)], test.flag+"="+secret.value)
					}
					c := command(t, build(t), append([]string{"HOME=" + home, "LOCALAPPDATA=" + home, "USERPROFILE=" + home}, env...), args...)
					c.Dir = home
					out, err := c.CombinedOutput()
					require.Error(t, err, string(out))
					assert.Contains(t, string(out), place+": must be the path of a ", args)
					assert.NotContains(t, string(out), secret.piece, args[:1])
				}
				assert.Equal(t, content, read(t, file))
				assertNotKept(t, home, file, secret.piece)
			})
		}
	}
}

// assertNotKept looks at the names and contents of all files but one.
func assertNotKept(t *testing.T, dir, except, piece string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		assert.NotContains(t, path, piece)
		if err == nil && entry.Type().IsRegular() && path != except {
			assert.NotContains(t, read(t, path), piece, path)
		}
		return err
	}))
}

func TestCommands_NameAMistypedPath(t *testing.T) {
	w := newWorld(t)
	mistyped := filepath.Join(filepath.Dir(w.login), "credentails")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", mistyped)
	out, _, code := berth(t, "doctor", "acme="+echo(t, "acme"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "there is no login at "+mistyped)
	_, errs, code := berth(t, "list", "--ca-file="+mistyped)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "--ca-file: open "+mistyped)
}
