package operate

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// foreignOwner returns the uid of the user who listens at an address of this computer, if
// the system shows it, as Linux does, and if it is another user than this process's; "" if
// not. It proves nothing: it is for a person who looks for the program.
func foreignOwner(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, _ := os.ReadFile(name) // other systems have none
		if uid := listenerIn(string(table), at); uid != "" && uid != strconv.Itoa(os.Getuid()) {
			return uid
		}
	}
	return ""
}

// listenerIn returns the uid of the socket in the kernel's table that listens at the
// address, or at all; "" if there is none.
func listenerIn(table string, at netip.AddrPort) (uid string) {
	const listening = "0A"
	for line := range strings.Lines(table) {
		fields := strings.Fields(line) // sl, local address, remote address, state, queues, timer, retransmits, uid
		if len(fields) < 8 || fields[3] != listening {
			continue
		}
		local, ok := kernelAddress(fields[1])
		if ok && local.Port() == at.Port() && (local.Addr() == at.Addr() || local.Addr().IsUnspecified()) {
			return fields[7]
		}
	}
	return ""
}

// kernelAddress reads an address as the kernel prints it: words of 32 bits in the order of
// this computer, and a port.
func kernelAddress(s string) (netip.AddrPort, bool) {
	host, hexPort, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	port, wrong := strconv.ParseUint(hexPort, 16, 16)
	if err != nil || wrong != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}
