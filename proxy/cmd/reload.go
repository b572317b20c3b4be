package cmd

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/berth-mcp/berth/proxy/config"
	"github.com/berth-mcp/berth/proxy/filestate"
	"github.com/berth-mcp/berth/proxy/ownfile"
	"github.com/berth-mcp/berth/proxy/relay"
	"github.com/berth-mcp/berth/proxy/token"
)

const (
	// lookEvery is how often the file is looked at. Looking works the same on all systems,
	// through links and on network drives, and takes microseconds.
	lookEvery = 2 * time.Second

	// locateAgain is how long after a failed look for a service the next one is. A new
	// login, the network or a right may have come meanwhile.
	locateAgain = time.Minute
)

// A reloader keeps the targets of a relay, or of a sender, as the file of clients says.
type reloader struct {
	common  *common
	args    []string // the clients that are served; none: all in the file
	targets func([]relay.Target)
	tokens  *token.Source
	log     *slog.Logger
	hangup  chan os.Signal // gets SIGHUP, once [reloader.catchHangup] was called

	file    config.File // as it was last read
	state   filestate.State
	clients []config.Client // that were chosen of it
	again   time.Time       // when to look for services that were not found; zero: all were
	// refused is why the file was not read that others can write or exchange; "" if it was.
	refused string

	looking sync.WaitGroup
	giveUp  context.CancelFunc // of the look for services that is under way
	looked  <-chan error       // its outcome
}

// catchHangup has SIGHUP reload the file from now on, until stop is called. Until then the
// signal ends the process.
//
// A terminal that is closed sends SIGHUP, too, and it must go on to end what was started
// there; nohup has it ignored. In both cases nothing changes.
func (r *reloader) catchHangup() (stop func()) {
	if term.IsTerminal(int(os.Stdin.Fd())) || signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	r.hangup = make(chan os.Signal, 1)
	signal.Notify(r.hangup, syscall.SIGHUP)
	return func() { signal.Stop(r.hangup) }
}

// follow reloads when the file changes, on SIGHUP, and for services not found so far, until
// the context is done.
func (r *reloader) follow(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer r.looking.Wait()
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hangup:
			r.reload(ctx)
		case err := <-r.looked:
			if ctx.Err() != nil {
				return
			}
			r.found(err)
			r.handOn()
		case <-tick.C:
			due := !r.again.IsZero() && time.Now().After(r.again)
			// What makes a file safe again may be a directory's mode, which its state does not have.
			if due || r.refused != "" || !filestate.Of(r.common.configFile).Same(r.state) {
				r.reload(ctx)
			}
		}
	}
}

// reload hands on what the file says now. With problems, all stays as it is.
func (r *reloader) reload(ctx context.Context) {
	r.state = filestate.Of(r.common.configFile) // before it is read: a change in between is then seen as one
	file, err := config.Read(r.common.configFile)
	if r.isRefused(err) {
		return
	}
	clients := file.Clients
	if len(r.args) > 0 { // of these, one that was removed is gone
		clients = slices.DeleteFunc(slices.Clone(clients), func(c config.Client) bool { return !slices.Contains(r.args, c.Name) })
	}
	if err := errors.Join(err, r.common.checkClients(clients)); err != nil {
		r.warn("the file of clients has problems, all stays as it was", err)
		return
	}
	settings := func(a, b config.Setting) bool { return a.Name == b.Name && a.Value == b.Value }
	if !slices.EqualFunc(file.Settings, r.file.Settings, settings) {
		r.log.Warn("settings have changed: start berth-proxy anew for them to take effect", "file", file.Name)
	}
	r.file, r.clients = file, clients
	if r.giveUp != nil {
		r.giveUp()
	}
	r.again, r.looked = time.Time{}, nil
	// What was removed is gone at once, however long the look for another service takes.
	if all := r.handOn(); !all {
		r.look(ctx)
	}
}

// handOn hands on the targets whose URLs are known, and reports whether these are all.
func (r *reloader) handOn() (all bool) {
	targets := r.common.known(r.clients)
	r.targets(targets)
	r.log.Info("clients reloaded", "clients", names(targets))
	return len(targets) == len(r.clients)
}

// look looks for the services whose URLs are not known.
func (r *reloader) look(ctx context.Context) {
	ctx, r.giveUp = context.WithCancel(ctx)
	outcome, clients := make(chan error, 1), r.clients
	r.looked = outcome
	r.looking.Go(func() {
		_, err := r.common.locateAll(ctx, r.tokens, clients)
		outcome <- err
	})
}

// isRefused reports whether others could have written the file. That is logged once.
func (r *reloader) isRefused(err error) bool {
	before := r.refused
	r.refused = ""
	var unsafe *ownfile.UnsafeError
	if !errors.As(err, &unsafe) {
		return false
	}
	if r.refused = unsafe.Error(); r.refused != before {
		r.warn("the file of clients is not read, all stays as it was", unsafe)
	}
	return true
}

// found takes note of what locating the clients has brought.
func (r *reloader) found(err error) {
	r.again = time.Time{}
	if err != nil {
		r.again = time.Now().Add(locateAgain)
		r.warn("a client is left out for now", err)
	}
}

// warn logs each of the problems that were joined.
func (r *reloader) warn(message string, err error) {
	for line := range strings.Lines(err.Error()) {
		r.log.Warn(message, "error", strings.TrimSuffix(line, "\n"))
	}
}

func names(targets []relay.Target) []string {
	all := []string{} // for the log: [] and not null
	for _, t := range targets {
		all = append(all, t.Name)
	}
	return all
}
