package relay

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHeaders_ThatCouldBeThePlatformsDoNotLeave(t *testing.T) {
	got := make(chan http.Header, 1)
	server := upstream(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header })
	h := start(t, "acme="+server.URL)
	const forged = "forged"
	names := []string{
		"X-Goog-IAP-JWT-Assertion", "X-Goog-Authenticated-User-Email", "X-Goog-Anything", "X-Google-Anything", "X-Gfe-Request-Trace",
		"X-Serverless-Authorization", "X-Serverless-Anything", "X-Cloud-Trace-Context", "X-Appengine-User-Email", "X-CloudTasks-QueueName",
		"X-CloudScheduler", "X-CloudScheduler-JobName", "X-Endpoint-API-UserInfo", "X-Apigateway-Api-Userinfo",
		"Forwarded", "X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Client-Cert", "X-Forwarded-Email",
		"Via", "X-Real-IP", "X-Client-IP", "True-Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Envoy-External-Address",
		"X-Amzn-Oidc-Identity", "X-Azure-ClientIP", "X-MS-Client-Principal", "X-Arr-Ssl", "X-Original-URL", "X-Original-Forwarded-For", "X-Rewrite-URL",
		"X-Host", "Client-Cert", "Proxy", "Referer", "Cookie", "Cookie2", "Content_Length", "Transfer_Encoding", "Proxy_Authorization",
		// As CGI, and some of what descends from it, reads them.
		"X_Goog_Iap_Jwt_Assertion", "X-Goog_Authenticated-User_Email", "X_Forwarded-For", "x_forwarded_for", "X.Forwarded.For", "X~Goog!Anything", "True_Client_Ip",
		"X_Serverless_Authorization", "X.Serverless.Authorization",
	}
	passing := []string{
		"Authorization", "Traceparent", "Tracestate", "Baggage", "X-Request-Id", "Mcp-Session-Id", "Mcp-Param-X-Goog-Y", "Last-Event-Id", "Origin-Of-Tea",
		"X-Api-Key", "X_Api_Key", "User-Agent", "Accept-Language", "Xx-Goog-Y", "Cfx", "Viable", "X-Goo-Gle",
	}
	r := h.request(t, http.MethodPost, "/acme/mcp", call)
	for _, name := range names {
		r.Header[name] = []string{forged, forged}
	}
	for _, name := range passing {
		r.Header[name] = []string{"good"}
	}
	resp, _ := do(t, r)
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	header := within(t, got, "the request")
	for name, values := range header {
		assert.NotContains(t, values, forged, name)
	}
	for _, name := range passing {
		assert.Equal(t, []string{"good"}, header[http.CanonicalHeaderKey(name)], name)
	}
	assert.Equal(t, []string{"Bearer " + h.endpoint.Tokens()[0]}, header[tokenHeader])
}

// The origin is that of all clients and of the proxy's page.
func TestHeaders_ThatHoldForTheWholeOriginDoNotComeIn(t *testing.T) {
	names := []string{
		"Clear-Site-Data", "Set-Cookie", "Set-Cookie2", "Alt-Svc", "Strict-Transport-Security", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-CT",
		"Report-To", "Reporting-Endpoints", "NEL", "Service-Worker-Allowed", "Origin-Agent-Cluster", "Refresh", "Accept-CH", "Critical-CH",
		"No-Vary-Search", "Use-As-Dictionary", "Speculation-Rules", "Supports-Loading-Mode", "Login-Status", "Set-Login", "Activate-Storage-Access",
		"Secure-Session-Registration", "Sec-Session-Registration", "Attribution-Reporting-Register-Source", "Sourcemap", "X-Sourcemap",
	}
	passing := []string{
		"Access-Control-Allow-Origin", "Access-Control-Max-Age", "Cache-Control", "Etag", "Mcp-Session-Id", "Retry-After", "Vary", "X-Accel-Buffering", "X-Request-Id",
	}
	server := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range append(names, passing...) {
			w.Header()[http.CanonicalHeaderKey(name)] = []string{"x"}
		}
	})
	h := start(t, "acme="+server.URL)
	for _, path := range []string{"/acme/mcp", "/acme/.well-known/x"} {
		resp, _ := do(t, h.request(t, http.MethodGet, path, ""))
		for _, name := range names {
			assert.Empty(t, resp.Header.Values(name), name)
		}
		for _, name := range passing {
			assert.Equal(t, []string{"x"}, resp.Header.Values(name), name)
		}
	}
}
