package localcloud

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

func (c *Cloud) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		c.closers = append(c.closers, func(context.Context) error {
			if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
	}
	return listener, err
}

// serve serves HTTP/1 and cleartext HTTP/2, as gRPC needs it.
func (c *Cloud) serve(listener net.Listener, handler http.Handler) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(c.options.Logger.Handler(), slog.LevelWarn),
	}
	go func() { _ = server.Serve(listener) }() // ends with Close
	c.closers = append(c.closers, func(context.Context) error { return server.Close() })
}
