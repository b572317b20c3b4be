package instance

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// Ports are picked from a range that lies below those from which Linux
// (32768…) and macOS (49152…) choose by themselves. So nothing takes one by
// chance between the choice and the program's own listen, and a probe cannot
// be connected to itself, which TCP allows where both ends choose the same.
const (
	firstPort = 20000
	lastPort  = 32767
)

// ports are those that this process has given out.
var ports = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

func takePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if !ports.taken[port] && portFree(port) {
			ports.taken[port] = true
			return port, nil
		}
	}
	return 0, errors.New("found no free port between 20000 and 32767: stop some of what listens there")
}

func releasePort(port int) {
	ports.Lock()
	defer ports.Unlock()
	delete(ports.taken, port)
}

// portFree asks twice, since on macOS one may listen on 127.0.0.1 at a port
// where somebody else listens on all interfaces.
func portFree(port int) bool {
	address := loopback(port)
	if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		_ = conn.Close()
		return false
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
