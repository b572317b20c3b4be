package frontend

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// page is an answer of the front end itself.
type page struct {
	title, heading string
	// text may hold one %s, for the path that was asked for.
	text string
}

// pages have the words of Google's front end.
var pages = map[int]page{
	http.StatusUnauthorized:          {"401 Unauthorized", "Error: Unauthorized", "Your client does not have permission to the requested URL <code>%s</code>."},
	http.StatusForbidden:             {"403 Forbidden", "Error: Forbidden", "Your client does not have permission to get URL <code>%s</code> from this server."},
	http.StatusNotFound:              {"404 Page not found", "Error: Page not found", "The requested URL was not found on this server."},
	http.StatusRequestTimeout:        {"408 Request Timeout", "Error: Request Timeout", "Your client took too long to send its request."},
	http.StatusRequestEntityTooLarge: {"413 Request Entity Too Large", "Error: Request Entity Too Large", "Your client issued a request that was too large."},
	http.StatusTooManyRequests:       {"429 Too Many Requests", "Error: Rate exceeded", "The request was aborted because there was no available instance."},
	http.StatusServiceUnavailable:    {"503 Service Unavailable", "Error: Service Unavailable", "The service you requested is not available yet.<p>Please try again in 30 seconds."},
	http.StatusGatewayTimeout:        {"504 Gateway Timeout", "Error: Gateway Timeout", "The request has been terminated because it has reached the maximum request timeout."},
}

func writePage(w http.ResponseWriter, r *http.Request, status int) {
	p := pages[status]
	text := p.text
	if strings.Contains(text, "%s") {
		text = fmt.Sprintf(text, html.EscapeString(r.URL.Path))
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client may be gone.
	_, _ = fmt.Fprintf(w, `
<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>%s</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>%s</h1>
<h2>%s</h2>
<h2></h2>
</body></html>
`, p.title, p.heading, text)
}
