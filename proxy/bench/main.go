// Command bench measures berth-proxy beside a direct connection, a plain
// httputil.ReverseProxy and, where it is installed, nginx: each in a process of its own,
// in front of the same server on loopback, taking turns within one run.
//
//	go run ./proxy/bench
//
// It also measures berth-proxy as the command that an editor starts, and with -mcp-remote
// the program that is usual for that. It must be run in a checkout, as it builds berth-proxy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// A plan is how much is measured.
type plan struct {
	rounds   int           // medians are of so many
	load     time.Duration // of each measurement of requests per second
	firsts   int           // streams whose first event is waited for
	events   int           // on each of eightStreams
	short    int           // short streams, to see whether they are whole
	idle     int           // streams that are open at once
	settling time.Duration // before memory is looked at
	starts   int           // of each program that speaks over stdio
	calls    int           // after each start
}

var (
	full  = plan{rounds: 5, load: time.Second, firsts: 300, events: 20_000, short: 20_000, idle: 1000, settling: 3 * time.Second, starts: 15, calls: 300}
	quick = plan{rounds: 1, load: 50 * time.Millisecond, firsts: 5, events: 100, short: 200, idle: 20, settling: 0, starts: 1, calls: 3}
)

func main() {
	if len(os.Args) > 1 && roles[os.Args[1]] != nil {
		roles[os.Args[1]](os.Args[2:])
		return
	}
	fast := flag.Bool("quick", false, "measure as little as possible, to see whether it works")
	remote := flag.Bool("mcp-remote", false, "also measure mcp-remote, which npm then installs, over stdio")
	rounds := flag.Int("rounds", full.rounds, "how often each is measured; the medians are printed")
	flag.Parse()
	p := full
	if *fast {
		p = quick
	} else {
		p.rounds = max(1, *rounds)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, p, *remote)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p plan, remote bool) error {
	dir, err := os.MkdirTemp("", "berth-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newStable(ctx, filepath.Clean(dir))
	if err != nil {
		return err
	}
	defer s.close()
	t, err := s.measure(ctx, p)
	if err != nil {
		return errors.Join(err, ctx.Err())
	}
	t.print(os.Stdout)
	bridges, err := s.bridges(ctx, remote)
	if err != nil {
		return err
	}
	return raceBridges(ctx, bridges, p, os.Stdout)
}
