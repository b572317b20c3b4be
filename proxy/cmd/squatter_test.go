package cmd

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/logtest"
	"github.com/berth-mcp/berth/proxy/operate"
	"github.com/berth-mcp/berth/proxy/relay"
)

// A squatter has the port that the editors use, and keeps all that is sent to it.
type squatter struct {
	port  string
	heard logtest.Buffer
}

func squat(t *testing.T) *squatter {
	t.Helper()
	s := &squatter{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := httputil.DumpRequest(r, true)
		assert.NoError(t, err)
		_, _ = s.heard.Write(request)
		fmt.Fprint(w, `{"program":"berth-proxy","version":"v1","clients":["acme"]}`)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	s.port = u.Port()
	return s
}

// secretOf is the secret in the file.
func (w *world) secretOf(t *testing.T) string {
	t.Helper()
	secret := strings.TrimSpace(read(t, filepath.Join(filepath.Dir(w.file), secretName)))
	require.NoError(t, relay.CheckSecret(secret))
	return secret
}

func TestServe_GivesSquatterNoSecretAndMakesAnother(t *testing.T) {
	w := newWorld(t)
	newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	runs(t, exitOK, "install", "cursor", "--path-secret", "--port=1")
	before := w.secretOf(t)
	s := squat(t)
	_, said := runs(t, exitPortTaken, "--path-secret", "--port="+s.port)
	assert.Contains(t, s.heard.String(), "GET /liveness?nonce=", "it was asked")
	assert.NotContains(t, s.heard.String(), before)
	after := w.secretOf(t)
	assert.NotEqual(t, before, after, "editors may have sent it already")
	assert.NotContains(t, said, before)
	assert.NotContains(t, said, after)
	assert.Contains(t, said, "port "+s.port+" is taken by a program that has not proved to be your berth-proxy (127.0.0.1:"+s.port+": it says that it is a berth-proxy without a secret")
	again := "connect the editors again with `berth-proxy install cursor --config " + w.file + " --port " + s.port + " --path-secret`"
	assert.Contains(t, said, again)
	_, said = runs(t, exitPortTaken, "--path-secret", "--port="+s.port)
	assert.Contains(t, said, again, "the editor still has the first secret")
	after = w.secretOf(t)

	runs(t, exitPortTaken, "--port="+s.port)
	assert.Equal(t, after, w.secretOf(t), "without a secret, none was sent")
}

func TestServe_KeepsSecretThatProxyKnows(t *testing.T) {
	w := newWorld(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	first := serve(t, w, 1, "--path-secret")
	before := w.secretOf(t)
	port := first.url[strings.LastIndexByte(first.url, ':')+1:]
	_, said := runs(t, exitPortTaken, "--path-secret", "--port="+port)
	assert.Equal(t, "berth-proxy: port "+port+" is taken by another berth-proxy, which serves acme: use that one, stop it, or choose another port with --port (0 takes any that is free)\n", said)
	assert.Equal(t, before, w.secretOf(t))
}

// The squatter knows the secret of the proxies on other ports too: it is one and the same.
func TestServe_TakesUpSecretThatWasReplaced(t *testing.T) {
	w := newWorld(t)
	newHome(t)
	runs(t, exitOK, "add", "acme="+echo(t, "acme"))
	r := serve(t, w, 1, "--path-secret")
	before := w.secretOf(t)
	_, body := r.post(t, "/"+before+"/acme/mcp")
	require.Equal(t, "acme", body)
	runs(t, exitPortTaken, "--path-secret", "--port="+squat(t).port)
	after := w.secretOf(t)
	require.Eventually(t, func() bool { _, body := r.post(t, "/"+after+"/acme/mcp"); return body == "acme" }, deadline, 10*time.Millisecond)
	status, _ := r.post(t, "/"+before+"/acme/mcp")
	assert.Equal(t, http.StatusNotFound, status)
	r.logs(t, "was replaced: connect the editors again")
	assert.NotContains(t, r.log.String(), before)
	assert.NotContains(t, r.log.String(), after)
}

func TestDoctor_GivesSquatterNoSecret(t *testing.T) {
	w := newWorld(t)
	newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	runs(t, exitOK, "install", "cursor", "--path-secret", "--port=1")
	before := w.secretOf(t)
	s := squat(t)
	said, _ := runs(t, exitFailed, "doctor", "--path-secret", "--port="+s.port)
	assert.Contains(t, s.heard.String(), "GET /liveness?nonce=", "it was asked")
	assert.NotContains(t, s.heard.String(), before)
	assert.Regexp(t, `failed +proxy +the berth-proxy on port `+s.port+` has no secret in its addresses, or is another program: .*; if that was not yours, .*: remove `+regexp.QuoteMeta(filepath.Join(filepath.Dir(w.file), secretName))+`, start berth-proxy`, said)
	assert.NotContains(t, said, before)
	assert.Equal(t, before, w.secretOf(t), "the doctor changes nothing")
}

func TestInstall_SendsNoEditorToSquatter(t *testing.T) {
	w := newWorld(t)
	home := newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	s := squat(t)
	_, said := runs(t, exitPortTaken, "install", "cursor", "--path-secret", "--port="+s.port)
	assert.Contains(t, said, "port "+s.port+" is taken by a program that has not proved to be your berth-proxy")
	assert.NoFileExists(t, filepath.Join(home, ".cursor", "mcp.json"))
	assert.NotContains(t, s.heard.String(), w.secretOf(t))

	r := serve(t, w, 1, "--path-secret")
	runs(t, exitOK, "install", "cursor", "--path-secret", "--port="+r.url[strings.LastIndexByte(r.url, ':')+1:])
	assert.Contains(t, read(t, filepath.Join(home, ".cursor", "mcp.json")), r.url+"/"+w.secretOf(t)+"/acme/mcp")
}

func TestInstall_PrintsNoSecret(t *testing.T) {
	w := newWorld(t)
	newHome(t)
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	said, _ := runs(t, exitOK, "install", "cursor", "--path-secret", "--port=1", "--dry-run")
	assert.Contains(t, said, `+      "url": "http://localhost:1/[secret]/acme/mcp"`)
	assert.NotContains(t, said, w.secretOf(t))

	for _, e := range []string{"cursor", "vscode"} {
		said, errs := runs(t, exitUsage, "install", e, "--path-secret", "--port=1", "--link")
		assert.Empty(t, said)
		assert.Contains(t, errs, "--link: whatever opens the link shows it to every user of this computer")
	}
	said, _ = runs(t, exitOK, "install", "cursor", "--link", "--port=1")
	assert.True(t, strings.HasPrefix(said, "cursor://"), said)
}

func TestDoctor_NamesCommandThatClosesFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where modes do not tell, and the doctor says so
	}
	newWorld(t)
	home := newHome(t)
	cursor := filepath.Join(home, ".cursor", "mcp.json")
	require.NoError(t, os.WriteFile(cursor, []byte("{}\n"), 0o600))
	require.NoError(t, os.Chmod(cursor, 0o644))
	runs(t, exitOK, "add", "acme=http://127.0.0.1:9")
	said, _ := runs(t, exitOK, "install", "cursor", "--path-secret", "--port=1")
	assert.Contains(t, said, "Cursor: others could read "+cursor+", which holds a secret: now only you can\n")
	info, err := os.Stat(cursor)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.Chmod(cursor, 0o644)) // as an editor may leave it that writes the file
	said, _ = runs(t, exitFailed, "doctor", "--path-secret", "--port=1")
	found := regexp.MustCompile(`failed +secret +others can read it in the files of Cursor: run ` + "`(chmod 600 .*)`").FindStringSubmatch(said)
	require.NotNil(t, found, said)
	fix := command(t, "/bin/sh", []string{"PATH=" + os.Getenv("PATH")}, "-c", found[1])
	out, err := fix.CombinedOutput()
	require.NoError(t, err, string(out))
	said, _ = runs(t, exitFailed, "doctor", "--path-secret", "--port=1") // as there is no server
	assert.Regexp(t, `ok +secret +only you can read it in the files of Cursor`, said)
}

// Another user's program may answer as a proxy does. Nobody is told to use that one.
func TestServe_TellsOfAnotherUserOnThePort(t *testing.T) {
	taken := &relay.PortTakenError{Port: 3030}
	assert.EqualError(t, takenFromOutside(taken, &operate.StrangerError{Owner: "65534", Claim: operate.NoSecret}),
		"port 3030 is taken by a program of another user (uid 65534), who gets what your editors send there: choose another port with --port (0 takes any that is free), and connect the editors to that")
	assert.Equal(t, taken, takenFromOutside(taken, &operate.StrangerError{}))
	assert.Equal(t, taken, takenFromOutside(taken, context.DeadlineExceeded))
}
