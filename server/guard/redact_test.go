package guard_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
)

func TestARecordHoldsNoSecretAndNoMoreThanItShould(t *testing.T) {
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImFkYSJ9.c2lnbmF0dXJl"
	for name, c := range map[string]struct{ in, want string }{
		"plain values":             {`{"id":"G1","n":1.50,"on":true,"none":null}`, `{"id":"G1","n":1.50,"on":true,"none":null}`},
		"fields named as secret":   {`{"password":"a","apiKey":"b","api_key":1,"Authorization":["c"],"refresh_token":{"d":"e"},"clientSecret":"f"}`, `{"password":"[redacted]","apiKey":"[redacted]","api_key":"[redacted]","Authorization":"[redacted]","refresh_token":"[redacted]","clientSecret":"[redacted]"}`},
		"names that only sound so": {`{"tokenizer_free_text":"x"}`, `{"tokenizer_free_text":"[redacted]"}`},
		"a JWT in a text":          {`{"note":"use ` + jwt + ` please"}`, `{"note":"use [redacted] please"}`},
		"a bearer token":           {`{"note":"Bearer abcdefgh12345678"}`, `{"note":"[redacted]"}`},
		"Google's tokens":          {`["ya29.a0AfH6SMB","AIzaSyA1234567890123456789012345"]`, `["[redacted]","[redacted]"]`},
		"others' tokens":           {`["ghp_012345678901234567890123","xoxb-1234567890-abc","AKIAIOSFODNN7EXAMPLE","sk-abcdefghijklmnop1234"]`, `["[redacted]","[redacted]","[redacted]","[redacted]"]`},
		"a password in a URL":      {`{"link":"https://ada:hunter2@example.com/x"}`, `{"link":"https[redacted]example.com/x"}`},
		"a secret as a name":       {`{"` + jwt + `":"x"}`, `{"[redacted]":"x"}`},
		"nested":                   {`{"a":{"b":[{"secret":"x"}]}}`, `{"a":{"b":[{"secret":"[redacted]"}]}}`},
		"too deep":                 {`{"a":{"b":{"c":{"d":{"e":1}}}}}`, `{"a":{"b":{"c":{"d":"an object of 1 fields"}}}}`},
		"a long text":              {`"` + strings.Repeat("é", 150) + `"`, `"` + strings.Repeat("é", 100) + `… (100 bytes more)"`},
		"a long list":              {`[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22]`, `[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"and 2 more"]`},
		"not JSON":                 {`{"password":`, `"12 bytes that are not JSON"`},
		"nothing":                  {` `, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(guard.Redact([]byte(c.in)))
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(got))
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add(`{"password":"hunter2-hunter2","a":[1,"x",null]}`)
	f.Fuzz(func(t *testing.T, in string) {
		kept, err := json.Marshal(guard.Redact([]byte(in)))
		require.NoError(t, err)
		if strings.Contains(in, `"password":"hunter2-hunter2"`) && json.Valid([]byte(in)) {
			assert.NotContains(t, string(kept), "hunter2-hunter2")
		}
	})
}
