package bridge

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// standardHeaders are what the revision 2026-07-28 wants said in headers too, so that what
// stands between need not read bodies. They repeat the body, and a server refuses what
// differs. The error is a limit that keeps a header from being known.
func standardHeaders(h http.Header, m message, tools *toolParams) error {
	if m.isResponse() {
		return nil
	}
	h.Set("Mcp-Method", headerValue(m.method))
	switch m.method {
	case methodCallTool, methodGetPrompt, methodReadResource:
		h.Set("Mcp-Name", headerValue(m.name))
	}
	if m.method == methodCallTool {
		return tools.setHeaders(h, m)
	}
	return nil
}

const base64Prefix, base64Suffix = "=?base64?", "?="

// headerValue is a text in the encoding that the specification gives to what is not plain
// ASCII, or could be taken for something encoded.
func headerValue(s string) string {
	plain := strings.TrimSpace(s) == s && !(strings.HasPrefix(s, base64Prefix) && strings.HasSuffix(s, base64Suffix))
	for i := 0; i < len(s) && plain; i++ {
		plain = s[i] >= 0x20 && s[i] <= 0x7e
	}
	if plain {
		return s
	}
	return base64Prefix + base64.StdEncoding.EncodeToString([]byte(s)) + base64Suffix
}
