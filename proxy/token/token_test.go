package token_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/token"
)

func withClaims(claims string) string {
	segment := base64.RawURLEncoding.EncodeToString
	return segment([]byte(`{"alg":"RS256"}`)) + "." + segment([]byte(claims)) + "." + segment([]byte("signature"))
}

func TestParse_ReadsClaimsByExactName(t *testing.T) {
	tok, err := token.Parse(withClaims(`{"iss":"https://accounts.google.com","email":"ada@example.com","exp":4102444800,
		"ISS":"http://127.0.0.1:1","\u0131ss":"x","i\u017Fs":"http://127.0.0.1:1","EMAIL":"eve@example.com","Exp":1}`))
	require.NoError(t, err)
	assert.Equal(t, "https://accounts.google.com", tok.Issuer)
	assert.Equal(t, "ada@example.com", tok.Email)
	assert.Equal(t, time.Unix(4102444800, 0), tok.Expires)

	_, err = token.Parse(withClaims(`{"ISS":"https://accounts.google.com","exp":4102444800}`))
	require.ErrorContains(t, err, "lacks the claim iss or exp")
	_, err = token.Parse(withClaims(`{"iss":7,"exp":4102444800}`))
	require.ErrorContains(t, err, "claim iss of another type")
}
