package identity_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
)

// verifiers verify one token in each mode that reads any. The claims given are those
// of Ada's valid token, as JSON.
func verifiers(t *testing.T) map[string]func(t *testing.T, edit func(claims string) string) (identity.Caller, error) {
	t.Helper()
	written := func(claims identitytest.Claims) string {
		raw, err := json.Marshal(claims)
		require.NoError(t, err)
		return string(raw)
	}
	issuer := identitytest.NewIssuer(t)
	oidc := newOIDC(t, nowhere, identity.Issuer{URL: issuer.URL, Audiences: []string{"berth"}})
	return map[string]func(t *testing.T, edit func(string) string) (identity.Caller, error){
		"cloudrun": func(t *testing.T, edit func(string) string) (identity.Caller, error) {
			claims := issuer.Claims("ada@example.com", identitytest.Claims{"iss": "https://accounts.google.com"})
			return cloudRun(t).Verify(request([2]string{serverless, "Bearer " + identitytest.PlatformTokenOf(edit(written(claims)))}))
		},
		"oidc": func(t *testing.T, edit func(string) string) (identity.Caller, error) {
			token := issuer.TokenOf(t, edit(written(issuer.Claims("ada@example.com", nil))))
			return oidc.Verify(request([2]string{authorization, "Bearer " + token}))
		},
	}
}

// with adds claims behind those that there are: of two, encoding/json takes the last.
func with(more string) func(string) string {
	return func(claims string) string { return strings.TrimSuffix(claims, "}") + "," + more + "}" }
}

func TestVerifier_ReadsClaimsByExactName(t *testing.T) {
	later := time.Now().Add(24 * time.Hour).Unix()
	for mode, verify := range verifiers(t) {
		for _, more := range []string{
			`"EMAIL":"eve@example.com"`, `"Email":"eve@example.com"`, `"emai\u006C2":1,"eMail":"eve@example.com"`,
			`"Sub":"sub-of-eve@example.com"`, `"SUB":"sub-of-eve@example.com"`, `"\u017Fub":"sub-of-eve@example.com"`,
			`"Email_Verified":false`, `"EMAIL_VERIFIED":true,"Aud":"another-server"`,
		} {
			t.Run(mode+" "+more, func(t *testing.T) {
				caller, err := verify(t, with(more))
				require.NoError(t, err)
				assert.Equal(t, "ada@example.com", caller.Email)
				assert.Equal(t, "sub-of-ada@example.com", caller.Subject)
			})
		}
		for _, missing := range []struct{ name, instead string }{
			{"email", `"EMAIL":"eve@example.com"`},
			{"email_verified", `"Email_Verified":true`},
			{"sub", `"SUB":"sub-of-eve@example.com"`},
			{"sub", `"\u017Fub":"sub-of-eve@example.com"`},
			{"iss", `"I\u017F\u017F":"https://accounts.google.com"`},
			{"exp", fmt.Sprintf(`"EXP":%d`, later)},
		} {
			t.Run(mode+" "+missing.instead+" alone", func(t *testing.T) {
				caller, err := verify(t, func(claims string) string {
					return with(missing.instead)(strings.Replace(claims, `"`+missing.name+`":`, `"x-`+missing.name+`":`, 1))
				})
				require.Error(t, err)
				assert.Zero(t, caller)
			})
		}
	}
}

func TestVerifier_ChecksTheClaimsThatItTakes(t *testing.T) {
	verify := verifiers(t)["oidc"]
	past := time.Now().Add(-time.Hour).Unix()
	later := time.Now().Add(time.Hour).Unix()
	set := func(name, value string) func(string) string {
		return func(claims string) string {
			var all map[string]json.RawMessage
			require.NoError(t, json.Unmarshal([]byte(claims), &all))
			all[name] = json.RawMessage(value)
			raw, err := json.Marshal(all)
			require.NoError(t, err)
			return string(raw)
		}
	}
	for name, edit := range map[string]func(string) string{
		"expired, and not by another name":       func(c string) string { return with(fmt.Sprintf(`"EXP":%d`, later))(set("exp", fmt.Sprint(past))(c)) },
		"for others, and for us by another name": func(c string) string { return with(`"AUD":"berth"`)(set("aud", `"another-server"`)(c)) },
		"not yet valid, and valid by its other":  func(c string) string { return with(`"NBF":0`)(set("nbf", fmt.Sprint(later))(c)) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify(t, edit)
			require.Error(t, err)
		})
	}
}

func TestVerifier_RefusesAClaimThatIsThereTwice(t *testing.T) {
	for mode, verify := range verifiers(t) {
		for _, twice := range []string{
			`"email":"eve@example.com"`, `"email":"ada@example.com"`, `"\u0065mail":"eve@example.com"`,
			`"sub":"sub-of-eve@example.com"`, `"email_verified":true`, `"exp":4102444800`, `"x":1,"x":2`,
		} {
			t.Run(mode+" "+twice, func(t *testing.T) {
				caller, err := verify(t, with(twice))
				require.ErrorContains(t, err, "its claims are malformed")
				assert.Zero(t, caller)
			})
		}
	}
}

func TestVerifier_RefusesAddressesThatAreNotASCII(t *testing.T) {
	for mode, verify := range verifiers(t) {
		for _, address := range []string{"\u212Aim@example.com", "kim@\u212Aiosk.example", "ro\u017Fe@example.com", "zoë@example.com", "kim\u200b@example.com", `kim\ud800@example.com`} {
			t.Run(mode+" "+address, func(t *testing.T) {
				caller, err := verify(t, func(claims string) string {
					return strings.Replace(claims, `"email":"ada@example.com"`, `"email":"`+address+`"`, 1)
				})
				require.ErrorContains(t, err, "characters other than ASCII")
				assert.Zero(t, caller)
			})
		}
	}
}

func TestVerifier_RefusesASubjectThatCouldPassForAnothers(t *testing.T) {
	for mode, verify := range verifiers(t) {
		for sub, want := range map[string]string{
			``: "no subject", `\ud800`: "printable ASCII", `1\u0000`: "printable ASCII", `1\n2`: "printable ASCII",
			`\u0661`: "printable ASCII", strings.Repeat("1", 256): "more than 255 bytes",
		} {
			t.Run(mode+" "+want, func(t *testing.T) {
				_, err := verify(t, func(claims string) string {
					return strings.Replace(claims, `"sub":"sub-of-ada@example.com"`, `"sub":"`+sub+`"`, 1)
				})
				require.ErrorContains(t, err, want)
			})
		}
	}
}

func TestVerifier_TakesGooglesTwoNamesForOne(t *testing.T) {
	verify := verifiers(t)["cloudrun"]
	caller := func(issuer string) identity.Caller {
		c, err := verify(t, func(claims string) string { return strings.Replace(claims, "https://accounts.google.com", issuer, 1) })
		require.NoError(t, err, issuer)
		return c
	}
	long := caller("https://accounts.google.com")
	assert.Equal(t, long.Key(), caller("accounts.google.com").Key())
	for _, other := range []string{"http://accounts.google.com", "https://accounts.google.com/", "accounts.google.com/", "Accounts.google.com"} {
		assert.NotEqual(t, long.Key(), caller(other).Key(), other)
	}
	_, err := verify(t, func(claims string) string {
		return strings.Replace(claims, "https://accounts.google.com", "https://a#b", 1)
	})
	require.ErrorContains(t, err, "names no issuer")
}

func TestVerifier_RefusesAnIssuerThatCouldPassForAnother(t *testing.T) {
	for _, issuer := range []string{`https://accounts.google.com\u202e`, `https://accounts.g\u043eogle.com`, `https://accounts.google.com\u001b[2J`, `accounts.google.com\u200b`} {
		_, err := verifiers(t)["cloudrun"](t, func(claims string) string {
			return strings.Replace(claims, "https://accounts.google.com", issuer, 1)
		})
		assert.ErrorContains(t, err, "claim iss has characters other than printable ASCII", issuer)
	}
}
