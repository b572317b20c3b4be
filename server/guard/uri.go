package guard

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// maxDecodings is how often a handler may be expected to decode a URI.
const maxDecodings = 3

// reached returns every feature that reading a URI may reach; none if there is no
// resource and no template for it.
//
// The library takes the resource of exactly that URI, or else the first template that
// matches. A handler of a template may understand another spelling as well, such as one
// with percent-encoding, and so reach what has a resource or a template of its own: the
// caller must be allowed that, too.
func (f features) reached(uri string) []*feature {
	if exact, ok := f[resourceKind][uri]; ok && exact.template == nil {
		return []*feature{exact}
	}
	var found []*feature
	known, spelled := false, spellings(uri)
	for _, of := range f[resourceKind] {
		known = known || of.template != nil && of.template.MatchString(uri)
		if slices.ContainsFunc(spelled, of.isAt) {
			found = append(found, of)
		}
	}
	if !known {
		return nil
	}
	slices.SortFunc(found, func(a, b *feature) int { return strings.Compare(a.name, b.name) })
	return found
}

// isAt reports whether a handler may find the resource at a URI.
func (f *feature) isAt(uri string) bool {
	if f.template != nil {
		return f.template.MatchString(uri)
	}
	return normal(f.name) == normal(uri)
}

// spellings returns what a handler may make of a URI: as it is, decoded once or more
// often, and each of these in its normal form, with its query and without.
func spellings(uri string) []string {
	var found []string
	for range 1 + maxDecodings {
		asked, _, _ := strings.Cut(uri, "?")
		found = append(found, uri, normal(uri), normal(asked))
		decoded, err := url.PathUnescape(uri)
		if err != nil || decoded == uri {
			break
		}
		uri = decoded
	}
	return found
}

// normal returns a URI with its scheme and host in lower case, and without its dot
// segments, doubled and trailing slashes, and fragment.
func normal(uri string) string {
	uri, _, _ = strings.Cut(uri, "#")
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	rest, query, asks := strings.Cut(rest, "?")
	host, below, _ := strings.Cut(rest, "/")
	uri = strings.ToLower(scheme) + "://" + strings.ToLower(host) + strings.TrimSuffix(path.Clean("/"+below), "/")
	if asks {
		uri += "?" + query
	}
	return uri
}
