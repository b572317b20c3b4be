package relay

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestThePlatformIsToldFromTheServer(t *testing.T) {
	const html, plain, json, none = "text/html; charset=UTF-8", "text/plain", "application/json", ""
	const unreached = "upstream connect error or disconnect/reset before headers. reset reason: connection failure"
	for _, test := range []struct {
		status            int
		contentType, body string
		platform          bool
	}{
		{401, html, "<html>", true},
		{403, html, "<html>", true},
		{429, html, "Rate exceeded.", true},
		{500, html, "<html>", true},
		{503, html, "<html>", true},
		{504, html, "<html>", true},
		{429, plain, "Rate exceeded.", true},
		{429, plain + "; charset=utf-8", "Rate exceeded.\n", true},
		{429, none, "Rate exceeded.", true},
		{502, plain, unreached, true},
		{503, plain, unreached, true},
		{503, plain, "no healthy upstream", true},
		{504, plain, "upstream request timeout", true},

		{200, html, "<html>", false},
		{404, html, "<html>", false},
		{405, html, "<html>", false},
		{401, plain, "Rate exceeded.", false},
		{403, none, "", false},
		{429, json, "Rate exceeded.", false},
		{429, plain, "slow down", false},
		{429, plain, "", false},
		{429, none, "", false},
		{429, plain, " Rate exceeded.", false},
		{500, plain, unreached, false},
		{503, plain, "Rate exceeded.", false},
		{503, plain, "draining", false},
		{503, json, unreached, false},
		{504, plain, strings.Repeat("x", 2*maxSentence), false},
	} {
		resp := &http.Response{StatusCode: test.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(test.body))}
		if test.contentType != none {
			resp.Header.Set("Content-Type", test.contentType)
		}
		for range 2 {
			assert.Equal(t, test.platform, fromPlatform(resp), "%d %s: %s", test.status, test.contentType, test.body)
		}
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		assert.Equal(t, test.body, string(body), "it is still whole")
	}
}
