package token_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/berth-mcp/berth/internal/envtest"
	"github.com/berth-mcp/berth/internal/leaktest"
	"github.com/berth-mcp/berth/proxy/token"
	"github.com/berth-mcp/berth/proxy/token/tokentest"
)

// network is what stands for the way to Google.
var network *tokentest.Network

func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); strings.TrimSuffix(name, ".exe") == "gcloud" {
		os.Exit(beGcloud())
	}
	envtest.Clear()
	var err error
	if network, err = tokentest.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(leaktest.Main(m, goleak.IgnoreCurrent()))
}

// A cli is a gcloud command: this very program, by that name. What it answers is in a file
// for each account, and for "" in that of the active one.
type cli struct{ dir string }

// installGcloud makes it the only command on the path.
func installGcloud(t *testing.T) *cli {
	t.Helper()
	c := &cli{t.TempDir()}
	own, err := os.Executable()
	require.NoError(t, err)
	program, err := os.ReadFile(own)
	require.NoError(t, err)
	name := filepath.Join(c.dir, "gcloud")
	if filepath.Ext(own) == ".exe" {
		name += ".exe"
	}
	require.NoError(t, os.WriteFile(name, program, 0o700))
	t.Setenv("PATH", c.dir)
	t.Setenv("CLOUDSDK_CONFIG", filepath.Join(c.dir, "config"))
	t.Setenv("GCLOUD_TEST_DIR", c.dir)
	return c
}

// logIn makes gcloud answer with an ID token of an account; the empty one logs out.
func (c *cli) logIn(t *testing.T, active, answer string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(c.dir, "config"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "answer-"+active), []byte(answer), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "config", "credentials.db.new"), []byte(answer), 0o600))
	require.NoError(t, os.Rename(filepath.Join(c.dir, "config", "credentials.db.new"), filepath.Join(c.dir, "config", "credentials.db")))
}

// calls are the command lines so far, with what the environment had of a given token.
func (c *cli) calls(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "calls"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(content)), "\n")
}

func beGcloud() int {
	dir := os.Getenv("GCLOUD_TEST_DIR")
	calls, err := os.OpenFile(filepath.Join(dir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 3
	}
	fmt.Fprintln(calls, strings.Join(os.Args[1:], " ")+os.Getenv(token.GivenVariable))
	if err := calls.Close(); err != nil {
		return 3
	}
	_, account, _ := strings.Cut(os.Args[len(os.Args)-1], "--account=")
	answer, err := os.ReadFile(filepath.Join(dir, "answer-"+account))
	if err != nil || len(answer) == 0 {
		fmt.Fprintln(os.Stderr, "ERROR: (gcloud.auth) You do not currently have an active account selected.")
		return 1
	}
	fmt.Println(string(answer))
	return 0
}
