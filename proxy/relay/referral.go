package relay

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// referrals are the headers of an answer that name URLs, in http's form of their names, and
// how each is made to lead back through the proxy.
var referrals = []struct {
	name  string
	local func(route, string) (string, error)
}{
	{"Location", route.localLocation},
	{"Content-Location", route.toLocal},
	{"Link", route.localLinks},
	{"Www-Authenticate", route.localChallenge},
}

// localise makes the URLs in an answer's headers lead back through the proxy. A header with a
// URL that leads to another client is left out.
func (s *Relay) localise(header http.Header, rt route) {
	for _, h := range referrals {
		values := header[h.name]
		if len(values) == 0 {
			continue
		}
		header.Del(h.name)
		if strings.HasSuffix(h.name, "Location") {
			values = values[:1] // only one is valid, and some readers join them
		}
		for _, value := range values {
			here, err := h.local(rt, value)
			if err != nil {
				s.log.Warn("left out a header of a server's answer", "client", rt.backend.Name, "header", h.name, "error", err)
				continue
			}
			header.Add(h.name, here)
		}
	}
}

// localLocation is toLocal for redirects. A redirect of a document leads to a document.
func (rt route) localLocation(ref string) (string, error) {
	here, err := rt.toLocal(ref)
	if err == nil && rt.document {
		here = rt.asDocument(here)
	}
	return here, err
}

// aLink matches the first link of a Link header (RFC 8288, section 3) with its parameters and
// the comma after it. A quoted string must not look like a link to a lenient reader.
var aLink = regexp.MustCompile(`^\s*<([^<>]*)>((?:\s*;\s*[^\s<>"=;,]+(?:\s*=\s*(?:"[^"<>\\]*"|[^\s<>"=;,\\]+))?)*)\s*(,|$)`)

func (rt route) localLinks(links string) (string, error) {
	var here strings.Builder
	for rest := links; rest != ""; {
		link := aLink.FindStringSubmatch(rest)
		if link == nil {
			return "", errSteered
		}
		to, err := rt.toLocal(link[1])
		if err != nil {
			return "", err
		}
		here.WriteString("<" + to + ">" + link[2] + link[3])
		rest = rest[len(link[0]):]
	}
	return here.String(), rt.checkURLs(here.String())
}

// resourceMetadata is the parameter of a challenge that names the metadata's URL (RFC 9728,
// section 5.1), also where only a lenient client finds it.
var resourceMetadata = regexp.MustCompile(`(?i)resource_metadata\s*=\s*("[^"]*"|[^\s,"]*)`)

// namesMetadata reports whether a server says where the metadata of its login are.
func namesMetadata(resp *http.Response) bool {
	return slices.ContainsFunc(resp.Header.Values("WWW-Authenticate"), resourceMetadata.MatchString)
}

// localChallenge makes the metadata's URL in a challenge lead through the proxy.
func (rt route) localChallenge(challenge string) (string, error) {
	var problem error
	challenge = resourceMetadata.ReplaceAllStringFunc(challenge, func(parameter string) string {
		name, ref, _ := strings.Cut(parameter, "=")
		to, err := rt.localDocument(strings.Trim(ref, "\" \t"))
		if err != nil {
			problem = err
		}
		return strings.TrimSpace(name) + `="` + to + `"`
	})
	if problem != nil {
		return "", problem
	}
	return challenge, rt.checkURLs(challenge)
}

// checkURLs checks every URL in a header's value, in whichever parameter it is.
func (rt route) checkURLs(value string) error {
	value = strings.ReplaceAll(value, `\`, "") // which may precede any character of a quoted string
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\"'<>,;=", r) }) {
		if hasHost.MatchString(word) && !rt.mayLeadTo(word) {
			return steeredTo(word)
		}
	}
	return nil
}
