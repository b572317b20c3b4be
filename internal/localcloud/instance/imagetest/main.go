package imagetest

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/berth-mcp/berth/internal/leaktest"
)

// Main runs the tests of a package with one registry, and one directory of unpacked images,
// for all of them, since pushing and unpacking a program takes its time. It returns the exit
// code of the process, which is not 0 if goroutines are left in the end.
func Main(m *testing.M, registry, unpacked *string) int {
	dir, err := os.MkdirTemp("", "imagetest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	host, stop := StartRegistry()
	*registry, *unpacked = host, dir
	code := m.Run()
	stop()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	_ = os.RemoveAll(dir) // nothing depends on it
	if code != 0 {
		return code
	}
	if err := leaktest.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
