package relay

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/proxy/address"
	"github.com/berth-mcp/berth/proxy/token"
)

// A Target is one client's server: the name it has in local paths, and the one origin
// that its calls, and the token with them, are sent to.
type Target struct {
	Name string
	// Audience of the tokens for the server, where the login can choose one. Empty: the
	// server's origin, which is what Cloud Run accepts unless told otherwise.
	Audience string
	// AccessHint is whom to ask for access, such as a group's address. Empty: not known.
	AccessHint string

	// scheme, host and path only; the path is empty or starts, and does not end, with a
	// slash. The endpoint (/mcp or /sse) is not part of it.
	base *url.URL
}

var (
	clientName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)
	// showable is what a client's name may be mistyped as. What is in front of the = of
	// anything else may be a URL's user name and password.
	showable = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,63}$`)
	basePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)
)

// With one client, its paths are also served without its name in front. These are paths
// that servers have, or that the proxy keeps for itself.
var reservedNames = []string{
	"authorize", "health", "liveness", "mcp", "message", "messages", "metrics",
	"readiness", "ready", "register", "sse", "startup", "token",
}

// ParseTargets reads arguments of the form CLIENT=URL. CLIENT is made of a-z, 0-9 and -.
// URL is the server's address, https unless it is on this machine, with or without the
// endpoint (/mcp or /sse) at its end. The error tells every problem there is; the targets
// that have none come with it.
func ParseTargets(args []string) ([]Target, error) {
	var targets []Target
	var problems []error
	for i, arg := range args {
		name, rawURL, found := strings.Cut(arg, "=")
		if !found {
			// It is not repeated: it may be anything, such as a secret without its option.
			problems = append(problems, fmt.Errorf("argument %d has no =: write CLIENT=URL, such as acme=https://acme-123.europe-west1.run.app", i+1))
			continue
		}
		who := fmt.Sprintf("client %q", name)
		if !showable.MatchString(name) {
			who = fmt.Sprintf("argument %d", i+1)
		}
		target, wrong := NewTarget(name, rawURL)
		if slices.ContainsFunc(targets, func(t Target) bool { return t.Name == name }) {
			problems = append(problems, fmt.Errorf("client %q is given twice: give each client one URL", name))
		}
		for _, err := range wrong {
			problems = append(problems, fmt.Errorf("%s: %w", who, err))
		}
		if len(wrong) == 0 {
			targets = append(targets, target)
		}
	}
	return targets, errors.Join(problems...)
}

// NewTarget returns the target of a client's name and its server's URL, in the form that
// [ParseTargets] describes. The problems, all that there are, do not repeat the name, nor
// what may be secret of the URL.
func NewTarget(name, rawURL string) (Target, []error) {
	var problems []error
	if err := CheckName(name); err != nil {
		problems = append(problems, err)
	}
	base, wrong := parseBase(rawURL)
	if problems = append(problems, wrong...); len(problems) > 0 {
		return Target{}, problems
	}
	return Target{Name: name, base: base}, nil
}

// CheckName says what is wrong with a client's name.
func CheckName(name string) error {
	if !clientName.MatchString(name) {
		return errors.New("use 1 to 63 of a-z, 0-9 and -, starting with a letter or a digit")
	}
	if slices.Contains(reservedNames, name) {
		return errors.New("the name is a path that servers use: choose another")
	}
	return nil
}

func parseBase(raw string) (base *url.URL, problems []error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The parser's text repeats the URL, and a URL may hold a password.
		return nil, []error{errors.New("the URL cannot be read: write it like https://acme-123.europe-west1.run.app")}
	}
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	host, shown := u.Hostname(), address.Show(u)
	if host == "" {
		// Without a host it is not known what the rest is, or how much of it is secret.
		return nil, []error{errors.New("the URL has no host: write it like https://acme-123.europe-west1.run.app")}
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) || strings.Contains(host, "%") {
		problem("URL %q has the host %q, which is neither a name nor an address: check its spelling", shown, host)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		problem("URL %q has the scheme %q: use https", shown, u.Scheme)
	case u.Scheme == "http" && !address.IsLoopback(host):
		problem("URL %q would send your token unencrypted: use https (http is for this machine alone)", shown)
	}
	if u.User != nil {
		problem("URL %q holds a user name or password: leave it out, your Google login is used", shown)
	}
	if u.RawQuery != "" || u.ForceQuery {
		problem("URL %q holds a query: leave it out", shown)
	}
	if u.Fragment != "" || strings.HasSuffix(raw, "#") {
		problem("URL %q holds a fragment: leave it out", shown)
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	for _, endpoint := range []string{"/mcp", "/sse"} {
		if before, found := strings.CutSuffix(path, endpoint); found {
			path = before
			break
		}
	}
	if !basePath.MatchString(path) || strings.Contains(path+"/", "/./") || strings.Contains(path+"/", "/../") {
		problem("URL %q has the path %q: use segments of letters, digits and . _ ~ - only", shown, u.EscapedPath())
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return &url.URL{Scheme: u.Scheme, Host: canonicalHost(u), Path: path}, nil
}

// canonicalHost is the URL's host in lower case, without the scheme's own port.
func canonicalHost(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return host
	}
	return host + ":" + port
}

// URL is the address of the server, without an endpoint.
func (t Target) URL() string { return t.base.String() }

// Endpoint is the URL of a path of the server, such as /mcp.
func (t Target) Endpoint(path string) *url.URL {
	u := *t.base
	u.Path += path
	return &u
}

// Holds reports whether a URL is of the target's own origin. A token goes to no other.
func (t Target) Holds(u *url.URL) bool {
	return u.Scheme == t.base.Scheme && u.User == nil && canonicalHost(u) == t.base.Host
}

// Contains reports whether a URL is at the target's origin and below its path, however the
// server reads the path.
func (t Target) Contains(u *url.URL) bool {
	path := u.EscapedPath()
	rest, below := strings.CutPrefix(path, t.base.Path)
	return t.Holds(u) && below && (rest == "" || rest[0] == '/') && !hasEscapedDots(path)
}

func (t Target) audience() string {
	return cmp.Or(t.Audience, t.base.Scheme+"://"+t.base.Host)
}

// Loopback reports whether the server is on this machine.
func (t Target) Loopback() bool { return address.IsLoopback(t.base.Hostname()) }

// accepts says whether a token may be sent to the target. A token of a real issuer opens
// every server its owner may use, so that it must not reach whatever happens to listen on
// a local port; a token of a local issuer is worth nothing outside, and its going there
// would be a mistake in the configuration.
func (t Target) accepts(tok token.Token) error {
	issuer, err := url.Parse(tok.Issuer)
	local := err == nil && issuer.Scheme == "http" && address.IsLoopback(issuer.Hostname())
	switch {
	case local && !t.Loopback():
		return fmt.Errorf("the login is one of a cloud on this machine (%s), and %s is elsewhere: start berth-proxy with the token endpoint (--token-url) of the cloud that runs %s", tok.Issuer, t.URL(), t.Name)
	case !local && t.Loopback():
		return fmt.Errorf("the login is one of %s, which is not sent to a port of this machine (%s): start berth-proxy with the --token-url of the local cloud that runs %s", tok.Issuer, t.URL(), t.Name)
	}
	return nil
}
