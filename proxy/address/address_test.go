package address_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/address"
)

func TestThisMachineIsKnownInEverySpelling(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "127.0.0.1": true, "127.0.0.2": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.evil.example": false, "evil.localhost": false, "127.1": false, "0.0.0.0": false, "10.0.0.1": false, "[::1]": false,
		"localho\u017Ft": false,
	} {
		assert.Equal(t, want, address.IsLoopback(host), host)
	}
}

// The environment's proxy is looked up once in a process, so that this needs one of its own.
func TestThisMachineIsReachedWithoutAProxy(t *testing.T) {
	const child = "BERTH_TEST_PROXY_CHILD"
	if os.Getenv(child) == "" {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), child+"=1", "HTTP_PROXY=http://corporate.example", "HTTPS_PROXY=http://corporate.example", "NO_PROXY=", "no_proxy=")
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	for _, here := range []string{"localhost", "LOCALHOST", "LocalHost", "127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]"} {
		for _, scheme := range []string{"http", "https"} {
			via, err := address.Proxy(httptest.NewRequest(http.MethodGet, scheme+"://"+here+":4001/token", nil))
			require.NoError(t, err)
			assert.Nil(t, via, scheme+"://"+here)
		}
	}
	via, err := address.Proxy(httptest.NewRequest(http.MethodGet, "https://acme.example/mcp", nil))
	require.NoError(t, err)
	require.NotNil(t, via)
	assert.Equal(t, "corporate.example", via.Host)
}

func TestNothingSecretIsShownOfAURL(t *testing.T) {
	u, err := url.Parse("https://secret:secret@acme.example:8443/a%2Fb?key=secret#secret")
	require.NoError(t, err)
	assert.Equal(t, "https://acme.example:8443/a%2Fb", address.Show(u))
	u, err = url.Parse("secret:secret")
	require.NoError(t, err)
	assert.False(t, strings.Contains(address.Show(u), ":secret"), "what is not a URL of host and path is not shown")
}
