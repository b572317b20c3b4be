// Package address is what the parts of the proxy must agree on about addresses: which are
// this machine's, how they are reached, and how much of one may be shown. It knows neither
// tokens nor clients.
package address

import (
	"net/http"
	"net/netip"
	"net/url"

	"github.com/berth-mcp/berth/internal/ascii"
)

// DefaultPort is the one that the proxy listens on if no other is chosen.
const DefaultPort = 3030

// IsLoopback reports whether a host, without its port, is this machine.
func IsLoopback(host string) bool {
	if ascii.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Proxy is [http.ProxyFromEnvironment] for all but this machine. That function alone takes
// no other spelling of "localhost" for this machine, and would send what is meant to stay
// here to the proxy, in the clear.
func Proxy(r *http.Request) (*url.URL, error) {
	if IsLoopback(r.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// Show is the scheme, host and path of a URL: a secret that is pasted with one is in its
// user name or password, its query or its fragment.
func Show(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return shown.String()
}
