package identity_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	authorization = "Authorization"
	serverless    = "X-Serverless-Authorization"
)

func onCloudRun(name string) string {
	return map[string]string{"K_SERVICE": "acme", "PORT": "8080"}[name]
}

func cloudRun(t *testing.T) identity.Verifier {
	t.Helper()
	v, err := identity.New(identity.Options{Mode: identity.ModeCloudRun, Getenv: onCloudRun})
	require.NoError(t, err)
	return v
}

// request has the header lines given, each a name and a value.
func request(lines ...[2]string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	for _, line := range lines {
		r.Header.Add(line[0], line[1])
	}
	return r
}

func TestCloudRunKnowsTheCallerFromTheHeaderThatThePlatformChecked(t *testing.T) {
	var (
		ada    = "Bearer " + identitytest.PlatformToken("ada@example.com", nil)
		eve    = "Bearer " + identitytest.PlatformToken("eve@example.com", nil)
		forged = "Bearer " + identitytest.Token("eve@example.com", nil, "c2lnbmF0dXJl")
	)
	const nobody = ""
	for _, c := range []struct {
		name  string
		lines [][2]string
		want  string
	}{
		{"no header", nil, nobody},
		{"Authorization alone", [][2]string{{authorization, ada}}, "ada@example.com"},
		{"X-Serverless-Authorization alone", [][2]string{{serverless, ada}}, "ada@example.com"},
		{"names in lower case", [][2]string{{"x-serverless-authorization", ada}, {"authorization", eve}}, "ada@example.com"},
		{"both, Authorization forged as the platform's", [][2]string{{serverless, ada}, {authorization, eve}}, "ada@example.com"},
		{"both, the forged one first", [][2]string{{authorization, eve}, {serverless, ada}}, "ada@example.com"},
		{"both, Authorization with a signature", [][2]string{{serverless, ada}, {authorization, forged}}, "ada@example.com"},
		{"both, Authorization twice", [][2]string{{serverless, ada}, {authorization, eve}, {authorization, eve}}, "ada@example.com"},
		{"both, Authorization of another kind", [][2]string{{serverless, ada}, {authorization, "Basic ZXZlOmV2ZQ=="}}, "ada@example.com"},
		{"both, X-Serverless-Authorization not checked", [][2]string{{serverless, forged}, {authorization, ada}}, nobody},
		{"both, X-Serverless-Authorization empty", [][2]string{{serverless, ""}, {authorization, ada}}, nobody},
		{"both, X-Serverless-Authorization of another kind", [][2]string{{serverless, "Basic eA=="}, {authorization, ada}}, nobody},
		{"both, X-Serverless-Authorization twice", [][2]string{{serverless, ada}, {serverless, eve}, {authorization, ada}}, nobody},
		{"X-Serverless-Authorization twice", [][2]string{{serverless, ada}, {serverless, eve}}, nobody},
		{"X-Serverless-Authorization twice, the same", [][2]string{{serverless, ada}, {serverless, ada}}, nobody},
		{"X-Serverless-Authorization twice in different case", [][2]string{{serverless, ada}, {"X-SERVERLESS-AUTHORIZATION", eve}}, nobody},
		{"X-Serverless-Authorization joined by a comma", [][2]string{{serverless, ada + ", " + eve}}, nobody},
		{"X-Serverless-Authorization ending in a comma", [][2]string{{serverless, ada + ","}}, nobody},
		{"Authorization twice", [][2]string{{authorization, ada}, {authorization, eve}}, nobody},
		{"Authorization twice, one empty", [][2]string{{authorization, ada}, {authorization, ""}}, nobody},
		{"Authorization joined by a comma", [][2]string{{authorization, ada + "," + eve}}, nobody},
		{"a name with underscores", [][2]string{{"X_Serverless_Authorization", eve}, {authorization, ada}}, "ada@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := cloudRun(t).Verify(request(c.lines...))
			if c.want == nobody {
				require.Error(t, err)
				assert.Zero(t, caller)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, identity.Caller{Email: c.want, Subject: "sub-of-" + c.want, Issuer: "https://accounts.google.com", ClaimsByEmail: true, Mode: identity.ModeCloudRun}, caller)
		})
	}
}

func TestCloudRunRefusesTokensThatSayTooLittleOrWereNotChecked(t *testing.T) {
	const ada = "ada@example.com"
	override := func(claim string, value any) string {
		return "Bearer " + identitytest.PlatformToken(ada, identitytest.Claims{claim: value})
	}
	good := identitytest.PlatformToken(ada, nil)
	parts := strings.Split(good, ".")
	for _, c := range []struct{ name, value, want string }{
		{"no scheme", good, "Bearer TOKEN"},
		{"another scheme", "Basic " + good, "Bearer TOKEN"},
		{"scheme alone", "Bearer", "Bearer TOKEN"},
		{"scheme and space", "Bearer ", "Bearer TOKEN"},
		{"two spaces", "Bearer  " + good, "malformed"},
		{"something after it", "Bearer " + good + " x", "still has its signature"},
		{"not a JWT", "Bearer opaque", "not a JWT"},
		{"four segments", "Bearer " + good + ".x", "not a JWT"},
		{"the platform's signature still there", "Bearer " + identitytest.Token(ada, nil, "c2ln"), "has not checked it"},
		{"no signature (alg none)", "Bearer " + identitytest.Token(ada, nil, ""), "has not checked it"},
		{"placeholder in lower case", "Bearer " + identitytest.Token(ada, nil, "signature_removed_by_google"), "has not checked it"},
		{"placeholder with more", "Bearer " + identitytest.Token(ada, nil, "SIGNATURE_REMOVED_BY_GOOGLE_"), "has not checked it"},
		{"header not base64", "Bearer !." + parts[1] + "." + parts[2], "header is malformed"},
		{"header not an object", "Bearer W10." + parts[1] + "." + parts[2], "header is malformed"},
		{"claims not base64", "Bearer " + parts[0] + ".!." + parts[2], "claims are malformed"},
		{"claims padded", "Bearer " + parts[0] + ".e30=." + parts[2], "claims are malformed"},
		{"claims not JSON", "Bearer " + parts[0] + ".YWJj." + parts[2], "claims are malformed"},
		{"too long", "Bearer " + identitytest.PlatformToken(ada, identitytest.Claims{"x": strings.Repeat("x", 16<<10)}), "more than 16384 bytes"},
		{"no e-mail", override("email", nil), "no e-mail address"},
		{"empty e-mail", override("email", ""), "no e-mail address"},
		{"e-mail not a string", override("email", []string{ada}), "claims are malformed"},
		{"e-mail without domain", override("email", "ada@"), "no e-mail address"},
		{"e-mail with two at signs", override("email", "a@b@example.com"), "no e-mail address"},
		{"e-mail with a line break", override("email", "ada@example.com\nx"), "no e-mail address"},
		{"e-mail with a control character", override("email", "ada\u009b@example.com"), "characters other than ASCII"},
		{"e-mail with a right-to-left override", override("email", "ada@\u202eexample.com"), "characters other than ASCII"},
		{"e-mail with a zero width space", override("email", "ada\u200b@example.com"), "characters other than ASCII"},
		{"e-mail with a space that is not ASCII", override("email", "ada\u00a0@example.com"), "characters other than ASCII"},
		{"e-mail too long", override("email", strings.Repeat("a", 250)+"@example.com"), "no e-mail address"},
		{"e-mail not verified", override("email_verified", false), "not verified"},
		{"nothing said about verification", override("email_verified", nil), "not verified"},
		{"verification as a string", override("email_verified", "true"), "claims are malformed"},
		{"expired", override("exp", time.Now().Add(-time.Hour).Unix()), "expired 36"},
		{"no expiry", override("exp", nil), "does not say when it expires"},
		{"expiry zero", override("exp", 0), "does not say when it expires"},
		{"expiry a string", override("exp", "tomorrow"), "claims are malformed"},
	} {
		for _, header := range []string{authorization, serverless} {
			t.Run(c.name+" in "+header, func(t *testing.T) {
				_, err := cloudRun(t).Verify(request([2]string{header, c.value}))
				require.ErrorContains(t, err, c.want)
				assert.ErrorContains(t, err, "header "+header)
				assert.NotContains(t, err.Error(), parts[1], "no token in an error")
			})
		}
	}
}

func TestCloudRunAcceptsWhatItShould(t *testing.T) {
	for _, c := range []struct {
		name  string
		value string
	}{
		{"scheme in lower case", "bearer " + identitytest.PlatformToken("ada@example.com", nil)},
		{"e-mail in upper case", "Bearer " + identitytest.PlatformToken("Ada@Example.COM", identitytest.Claims{"sub": "sub-of-ada@example.com"})},
		{"expired within the clocks' difference", "Bearer " + identitytest.PlatformToken("ada@example.com", identitytest.Claims{"exp": time.Now().Add(-time.Second).Unix()})},
		{"an issuer of one's own, which the platform has checked", "Bearer " + identitytest.PlatformToken("ada@example.com", identitytest.Claims{"iss": "http://127.0.0.1:4000"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller, err := cloudRun(t).Verify(request([2]string{serverless, c.value}))
			require.NoError(t, err)
			assert.Equal(t, "ada@example.com", caller.Email)
		})
	}
}

func FuzzCloudRunNeverPanicsAndNeverTakesAnUncheckedToken(f *testing.F) {
	f.Add("Bearer "+identitytest.PlatformToken("ada@example.com", nil), "")
	f.Add("Bearer a.b.c", "Bearer "+identitytest.PlatformToken("eve@example.com", nil))
	f.Add("Bearer ..SIGNATURE_REMOVED_BY_GOOGLE", ",")
	v, err := identity.New(identity.Options{Mode: identity.ModeCloudRun, Getenv: onCloudRun})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, checked, other string) {
		caller, err := v.Verify(request([2]string{serverless, checked}, [2]string{authorization, other}))
		if err == nil {
			assert.NotEmpty(t, caller.Email)
			assert.True(t, strings.HasSuffix(checked, ".SIGNATURE_REMOVED_BY_GOOGLE"))
		}
	})
}
