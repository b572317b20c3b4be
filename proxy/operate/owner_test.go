package operate

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestListenerIn_FindsUID(t *testing.T) {
	// A word as this computer's kernel prints the bytes of an address.
	word := func(a, b, c, d byte) string {
		return fmt.Sprintf("%08X", binary.NativeEndian.Uint32([]byte{a, b, c, d}))
	}
	table := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: " + word(127, 0, 0, 1) + ":0BD6 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 1 1\n" + // connected
		"   1: " + word(127, 0, 0, 1) + ":0BD6 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1 1\n" +
		"   2: 00000000:0BD7 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1002        0 1 1\n" +
		"   3: 000000000000000000000000" + word(0, 0, 0, 1) + ":0BD8 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 1 1\n" +
		"   4: no address\n"
	for address, want := range map[string]string{
		"127.0.0.1:3030": "1001", "127.0.0.2:3030": "", "127.0.0.1:3031": "1002", "[::1]:3032": "1003", "127.0.0.1:3032": "", "127.0.0.1:1": "",
	} {
		assert.Equal(t, want, listenerIn(table, netip.MustParseAddrPort(address)), address)
	}
}
