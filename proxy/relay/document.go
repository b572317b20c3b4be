package relay

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An editor follows the URLs in a server's documents: OAuth metadata (RFC 9728, RFC 8414,
// OpenID discovery) say where to register and where to get tokens, and a server card says
// where a server is. A request to an address of this proxy is signed with the developer's
// token. So the proxy reads each document before the editor does, and refuses one that leads
// to another client's server, or that an editor may read differently.

// errUnclear says that an editor may read a document differently than the proxy.
var errUnclear = errors.New("the document cannot be read with certainty")

// maxDocument bounds a document, in bytes. Metadata have a few thousand; server cards, which
// may list tools, more.
const maxDocument = 1 << 20

// documentMark is a query parameter that the proxy adds to the URL of a document when a
// server refers to one at a path that is not well-known. The server does not see it.
const documentMark = "berth-document"

// isWellKnown reports whether a path is a well-known one (RFC 8615).
func isWellKnown(path string) bool { return strings.Contains(path, "/.well-known/") }

// cutDocumentMark returns a query without the mark, and whether it was there.
func cutDocumentMark(query string) (rest string, marked bool) {
	if !strings.Contains(query, documentMark) {
		return query, false
	}
	parameters := strings.Split(query, "&")
	kept := slices.DeleteFunc(slices.Clone(parameters), func(p string) bool { return strings.TrimSuffix(p, "=") == documentMark })
	return strings.Join(kept, "&"), len(kept) < len(parameters)
}

// asDocument adds the mark to a reference from toLocal, if it leads to this proxy and its
// path does not tell that a document is there.
func (rt route) asDocument(ref string) string {
	u, err := rt.local.Parse(ref)
	if err != nil || rt.placeOf(u) != thisProxy || isWellKnown(u.Path) {
		return ref
	}
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += documentMark
	return u.String()
}

// isDocument reports whether the editor will read an answer as a document. An event stream
// that it asked for is not one.
func (rt route) isDocument(r *http.Request, resp *http.Response) bool {
	return rt.document && !(mayBeginWithEndpoint(r) && isEventStream(resp))
}

// checkDocument reads the body of an answer. In the metadata of a protected resource it
// replaces the resource's URL by the one here. Strings in known are not checked.
func (rt route) checkDocument(resp *http.Response, known map[string]bool) error {
	if isEncoded(resp) {
		return fmt.Errorf("%w: it is compressed", errUnclear)
	}
	body, err := peek(resp, maxDocument+1)
	if err != nil {
		return fmt.Errorf("%w: it broke off (%w)", errUnclear, err)
	}
	text := bytes.TrimPrefix(body, []byte("\ufeff"))
	if len(body) > maxDocument || !utf8.Valid(text) || !json.Valid(text) {
		if isNoObject(text, len(body) <= maxDocument) {
			return nil
		}
		return fmt.Errorf("%w: it must be JSON in UTF-8, of at most %d KiB", errUnclear, maxDocument>>10)
	}
	if here := rt.localMetadata(text); here != nil {
		text = here
		replaceBody(resp, text)
	}
	readAsUTF8(resp.Header)
	return rt.checkJSON(text, known)
}

// isNoObject reports whether not even the most lenient reader, in any encoding, finds a JSON
// object in a text: it is an HTML page, or has no brace.
func isNoObject(text []byte, whole bool) bool {
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("<")) || whole && !bytes.ContainsRune(text, '{')
}

// readAsUTF8 sets the header so that the editor decodes a document as the proxy did.
func readAsUTF8(header http.Header) {
	mediaType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	charset, named := parameters["charset"]
	switch {
	case err != nil || len(header.Values("Content-Type")) > 1:
		header.Set("Content-Type", "application/json")
	case named && !strings.EqualFold(charset, "utf-8"):
		header.Set("Content-Type", mediaType+"; charset=utf-8")
	}
}

// checkJSON checks every string of a JSON text, at any depth, names of members included.
func (rt route) checkJSON(text []byte, known map[string]bool) error {
	tokens := json.NewDecoder(bytes.NewReader(text))
	tokens.UseNumber()
	for {
		token, err := tokens.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: it must be JSON", errUnclear)
		}
		if s, is := token.(string); is && !known[s] {
			if err := rt.checkString(s, known); err != nil {
				return err
			}
		}
	}
}

// hasHost matches the beginning of a URL that names a host, at least to some readers.
var hasHost = regexp.MustCompile(`(?i)^(https?:|wss?:|[/\\]{2})`)

// checkString checks a string of a document, which may be a URL, a reference relative to the
// document, a JSON Web Token with more of them (signed_metadata), or plain text.
func (rt route) checkString(s string, known map[string]bool) error {
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) })
	read := strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s) // as browsers do
	switch {
	case hasHost.MatchString(read):
		if strings.Contains(s, `\`) || !rt.mayLeadTo(s) {
			return steeredTo(s)
		}
	case rt.leadsToAnother(read):
		return fmt.Errorf("%w: it names a path of another client", errSteered)
	}
	if parts := strings.Split(s, "."); len(parts) >= 3 {
		for _, part := range parts[:2] {
			claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
			if err == nil && json.Valid(claims) {
				if err := rt.checkJSON(claims, known); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// leadsToAnother reports whether a string, read as a reference, leads to another client. The
// editor may resolve it against the document's URL, or against another of this client, at
// whatever depth: what climbs by .. may reach every path. Most strings with a slash are not
// references, so that one which leads to no client at all is fine.
func (rt route) leadsToAnother(s string) bool {
	ref := strings.NewReplacer(`\`, "/", "%2e", ".", "%2E", ".").Replace(s)
	ref, _, _ = strings.Cut(ref, "?")
	ref, _, _ = strings.Cut(ref, "#")
	if !strings.Contains(ref, "/") {
		return false
	}
	if rt.isOfAnother(rt.local.ResolveReference(&url.URL{Path: ref}).Path) {
		return true
	}
	climbs, rest := false, path.Clean(ref)
	for strings.HasPrefix(rest, "../") {
		climbs, rest = true, rest[len("../"):]
	}
	return climbs && (rt.isOfAnother("/"+rest) || rt.isOfAnother(rt.gate.prefix+"/"+rest))
}

// isOfAnother reports whether a path here is another client's.
func (rt route) isOfAnother(path string) bool {
	_, path = splitDocument(path)
	path, below := strings.CutPrefix(path, rt.gate.prefix+"/")
	first, _, _ := strings.Cut(path, "/")
	other := rt.all.named(first)
	return below && other != nil && other.Name != rt.backend.Name
}

// steeredTo returns the error for a URL. It shows the host only, as the rest may be secret.
func steeredTo(ref string) error {
	u, err := url.Parse(ref)
	if err != nil || u.Host == "" {
		return errSteered
	}
	return fmt.Errorf("%w: it names the host %s", errSteered, u.Host)
}
