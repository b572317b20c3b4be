package relay

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
)

func TestBothLoopbackAddressesAnswerAndNoOther(t *testing.T) {
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	h := start(t, "acme="+server.URL)
	addresses := map[string]bool{}
	for _, l := range h.listeners {
		addresses[l.Addr().String()] = true
		r := h.request(t, http.MethodGet, "/mcp", "")
		r.URL.Host = l.Addr().String()
		_, body := do(t, r)
		assert.Equal(t, "here", body)
	}
	want := map[string]bool{fmt.Sprintf("127.0.0.1:%d", h.Port()): true}
	if hasIPv6Loopback() {
		want[fmt.Sprintf("[::1]:%d", h.Port())] = true
	}
	assert.Equal(t, want, addresses)
}

func hasIPv6Loopback() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

func TestATakenPortIsNamed(t *testing.T) {
	addresses := []string{"127.0.0.1:0"}
	if hasIPv6Loopback() {
		addresses = append(addresses, "[::1]:0")
	}
	targets, tokens := parse(t, "acme=http://127.0.0.1:1"), token.NewSource(token.Options{})
	for _, address := range addresses {
		// Another program may be given the port as soon as it is free: nothing stays bound
		// of the attempt if that can be seen of any of some ports.
		var again *Relay
		for tries := 0; again == nil && tries < 10; tries++ {
			l, err := net.Listen("tcp", address)
			require.NoError(t, err)
			o := Options{Port: l.Addr().(*net.TCPAddr).Port, Targets: targets, Tokens: tokens}
			_, err = New(o)
			var taken *PortTakenError
			require.ErrorAs(t, err, &taken, address)
			assert.Equal(t, o.Port, taken.Port)
			assert.ErrorContains(t, err, fmt.Sprintf("port %d is taken", o.Port))
			assert.ErrorContains(t, err, "--port")
			require.NoError(t, l.Close())
			again, _ = New(o)
		}
		require.NotNil(t, again, "nothing stays bound of the attempt")
		require.NoError(t, again.Close())
	}
}

func TestARelayThatCannotServeSaysSo(t *testing.T) {
	s, err := New(Options{Targets: parse(t, "acme=http://127.0.0.1:1"), Tokens: token.NewSource(token.Options{})})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.ErrorContains(t, s.Serve(context.Background()), "serve on port")
}
