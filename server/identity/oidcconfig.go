package identity

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
)

// OIDCConfig says whose tokens mode oidc takes.
type OIDCConfig struct {
	// Resource is the URL that editors reach this server's /mcp at, such as
	// "https://acme.example.com/mcp", or "http://localhost:3030/acme/mcp" behind
	// berth-proxy. It is the resource identifier of RFC 9728, which clients
	// compare with the URL that they use. Required.
	Resource string `yaml:"resource"`
	// Issuers are the OpenID providers. At least one.
	Issuers []Issuer `yaml:"issuers"`
	// LegacyIssuer is the one of the issuers whose callers own the records that name
	// only an e-mail address, as servers wrote them before they kept subjects. Without
	// it, such a record is of the only issuer that may speak for its address; where
	// several may, it is shown to nobody.
	LegacyIssuer string `yaml:"legacy_issuer"`
}

// Issuer is one OpenID provider, and what it is believed about.
type Issuer struct {
	// URL is the issuer identifier, exactly as in its tokens, and where its
	// discovery document is found. https, but on loopback.
	URL string `yaml:"issuer"`
	// Audiences are the values of the aud claim of tokens that are for this
	// server. A token for another server is refused. At least one.
	Audiences []string `yaml:"audiences"`
	// Domains are those of the e-mail addresses that the issuer may speak for:
	// an issuer that is believed about every address can say that its caller is
	// anyone. Optional with one issuer, required with several.
	Domains []string `yaml:"domains"`
	// EmailClaim names the claim that holds the e-mail address; "email" if empty.
	EmailClaim string `yaml:"email_claim"`
	// UnverifiedEmail takes the address also from a token that does not say
	// email_verified: for providers that let nobody choose an address, and do not
	// send that claim. One that says false is always refused.
	UnverifiedEmail bool `yaml:"unverified_email"`
	// GroupsClaim names the claim that lists the caller's groups; "groups" if
	// empty. A token without it is of no group.
	GroupsClaim string `yaml:"groups_claim"`
	// GroupPrefix is put in front of the issuer's group names, so that no issuer
	// can put its callers into another's groups. With several issuers, no two
	// have the same.
	GroupPrefix string `yaml:"group_prefix"`
}

func (c OIDCConfig) isZero() bool {
	return c.Resource == "" && len(c.Issuers) == 0 && c.LegacyIssuer == ""
}

// Check gives every problem of the configuration, each naming its field.
func (c OIDCConfig) Check() error {
	var problems []error
	add := func(field, format string, args ...any) {
		problems = append(problems, fmt.Errorf("oidc.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	if why := wrongURL(c.Resource); why != "" {
		add("resource", "%q %s: write the URL that editors use, such as https://acme.example.com/mcp", shown(c.Resource), why)
	}
	if len(c.Issuers) == 0 {
		add("issuers", "there is none: name at least one OpenID provider")
	}
	urls, prefixes := map[string]bool{}, map[string]bool{}
	for i, issuer := range c.Issuers {
		field := func(name string) string { return fmt.Sprintf("issuers[%d].%s", i, name) }
		if why := wrongURL(issuer.URL); why != "" {
			add(field("issuer"), "%q %s: write the iss claim of the provider's tokens", shown(issuer.URL), why)
		}
		if urls[issuer.URL] {
			add(field("issuer"), "%q is there twice: give it all its audiences in one entry", shown(issuer.URL))
		}
		if len(issuer.Audiences) == 0 || slices.Contains(issuer.Audiences, "") {
			add(field("audiences"), "name the aud claim of the tokens that are for this server, or it would take tokens for any other")
		}
		if len(c.Issuers) > 1 && len(issuer.Domains) == 0 {
			add(field("domains"), "name the e-mail domains that %s may speak for: with several issuers, none is believed about all", shown(issuer.URL))
		}
		for n, domain := range issuer.Domains {
			if !ascii.Is(domain) {
				add(field(fmt.Sprintf("domains[%d]", n)), "%q has characters other than ASCII: write it as DNS does, with xn--", domain)
			}
		}
		if prefixes[issuer.GroupPrefix] {
			add(field("group_prefix"), "%q is another issuer's too: give each its own, or one could use the other's groups", issuer.GroupPrefix)
		}
		urls[issuer.URL], prefixes[issuer.GroupPrefix] = true, true
	}
	if c.LegacyIssuer != "" && !urls[c.LegacyIssuer] {
		add("legacy_issuer", "%q is none of the issuers: write one of theirs", shown(c.LegacyIssuer))
	}
	return errors.Join(problems...)
}

// wrongURL says what is wrong with a URL that tokens depend on; nothing if it is
// right.
func wrongURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "is not set"
	case !ascii.Is(raw):
		return "has characters other than ASCII"
	case err != nil || u.Hostname() == "":
		return "is no URL with a host"
	case u.User != nil || u.RawQuery != "" || strings.Contains(raw, keySeparator):
		return "has a user name, a query or a fragment"
	case u.Scheme != "https" && !(u.Scheme == "http" && IsLoopback(u.Hostname())):
		return "is not https"
	}
	return ""
}

// shown is a URL without the password that may be in it.
func shown(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "…"
	}
	return u.Redacted()
}
