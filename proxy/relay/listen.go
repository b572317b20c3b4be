package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"
)

// A PortTakenError says that something else listens on the port.
type PortTakenError struct{ Port int }

func (e *PortTakenError) Error() string {
	return fmt.Sprintf("port %d is taken, perhaps by another berth-proxy: stop that, or choose another port with --port (0 takes any that is free)", e.Port)
}

// CheckPort says what [New] would say of a port that cannot be listened on, for whoever
// has much to do before.
func CheckPort(port int) error {
	listeners, _, err := listen(port, slog.New(slog.DiscardHandler))
	for _, l := range listeners {
		_ = l.Close() // never used
	}
	return err
}

// anyPortAttempts bounds the search for a port that is free on both addresses. That the
// system's choice for one is taken on the other is rare already.
const anyPortAttempts = 16

// listen opens the port on 127.0.0.1 and on ::1, as "localhost" may be either. Port 0 is
// any that is free on both. On a host without IPv6 there is the first alone.
func listen(port int, log *slog.Logger) ([]net.Listener, int, error) {
	if port != 0 {
		return listenOn(port, log)
	}
	var err error
	for range anyPortAttempts {
		var listeners []net.Listener
		if listeners, port, err = listenOn(0, log); err == nil {
			return listeners, port, nil
		}
		var taken *PortTakenError
		if !errors.As(err, &taken) {
			break
		}
	}
	return nil, 0, err
}

func listenOn(port int, log *slog.Logger) ([]net.Listener, int, error) {
	v4, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, 0, listenError(port, err)
	}
	port = v4.Addr().(*net.TCPAddr).Port
	v6, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(port)))
	switch {
	case err == nil:
		return []net.Listener{v4, v6}, port, nil
	case isTaken(err):
		_ = v4.Close() // never used
		return nil, 0, listenError(port, err)
	default:
		log.Debug("no IPv6 here: listening on 127.0.0.1 alone", "error", err)
		return []net.Listener{v4}, port, nil
	}
}

func listenError(port int, err error) error {
	if isTaken(err) {
		return &PortTakenError{Port: port}
	}
	return fmt.Errorf("listen on port %d: %w: choose another with --port", port, err)
}

func isTaken(err error) bool {
	const windowsAddressInUse = syscall.Errno(10048) // WSAEADDRINUSE; no such number elsewhere
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, windowsAddressInUse)
}
