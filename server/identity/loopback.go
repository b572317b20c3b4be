package identity

import (
	"net"
	"net/netip"
	"strings"

	"github.com/berth-mcp/berth/internal/ascii"
)

// IsLoopback says if hostport, whose port is optional, names this machine.
func IsLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if ascii.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}
