package relay

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestASenderSendsToTheTargetsOwnOriginAlone(t *testing.T) {
	asked := make(chan string, 1)
	server := upstream(t, func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path + " " + r.Header.Get(tokenHeader) })
	h := start(t, "acme="+server.URL+"/portal/mcp")
	target := h.Snapshot()[0].Target

	resp, f := h.sender.Send(t.Context(), target, http.MethodPost, target.Endpoint("/mcp"), nil, []byte("{}"))
	require.Nil(t, f)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, "/portal/mcp Bearer "+h.endpoint.Tokens()[0], <-asked)

	elsewhere := upstream(t, func(http.ResponseWriter, *http.Request) { assert.Fail(t, "a request to another origin") })
	for _, raw := range []string{elsewhere.URL + "/mcp", "https" + server.URL[len("http"):] + "/mcp", "http://user@" + server.URL[len("http://"):]} {
		u, err := url.Parse(raw)
		require.NoError(t, err)
		_, f := h.sender.Send(t.Context(), target, http.MethodPost, u, nil, nil)
		require.NotNil(t, f, raw)
		assert.Equal(t, CodeWrongToken, f.Code)
	}
}
