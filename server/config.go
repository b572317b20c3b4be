package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/store"
)

// config is what the environment says.
type config struct {
	// mode and verifier, from BERTH_IDENTITY (required), are how callers are
	// known: cloudrun, oidc or dev.
	mode     identity.Mode
	verifier identity.Verifier

	// settings are from BERTH_CONFIG or BERTH_CONFIG_FILE (optional), and
	// settingsFrom is the one of the two that was set.
	settings     settings
	settingsFrom string

	// client is the one in BERTH_CLIENT (required), whose portal this is.
	client string

	// data are where BERTH_DATA says: a directory, or gs://BUCKET; by default the
	// sample's, which cannot be changed (nil). BERTH_STORAGE_ENDPOINT is where
	// Cloud Storage is, if not at Google, with the path: …/storage/v1/.
	data store.Store

	// address to listen on. Its port is PORT, 8080 by default; 0 takes any
	// free one. Its host is BERTH_LISTEN, an IP address: by default every one
	// of the machine's in mode cloudrun, 127.0.0.1 in mode dev. In mode dev
	// whoever reaches the server may use it, so there any address that is not
	// loopback also needs BERTH_DEV_ALLOW_ANYONE=true; on Cloud Run it is
	// never allowed.
	address string

	// revision is K_REVISION, which Cloud Run sets.
	revision string

	// grace is how long running calls have to finish once the process is told
	// to stop: always [drainTimeout], but in tests.
	grace time.Duration
}

// loadConfig reads the environment and reports everything wrong with it.
func loadConfig(getenv func(string) string) (config, error) {
	var problems problems
	cfg := config{revision: getenv("K_REVISION"), grace: drainTimeout}

	cfg.client = getenv("BERTH_CLIENT")
	if cfg.client == "" {
		problems.add("BERTH_CLIENT", "it is not set: name the client whose portal this is")
	} else if err := store.CheckClient(cfg.client); err != nil {
		problems.add("BERTH_CLIENT", err.Error())
	} else if data := getenv("BERTH_DATA"); data != "" {
		opened, err := store.Open(data, cfg.client, getenv("BERTH_STORAGE_ENDPOINT"))
		if err != nil {
			problems.add("BERTH_DATA", err.Error())
		}
		cfg.data = opened
	}

	var err error
	if cfg.settings, cfg.settingsFrom, err = loadSettings(getenv); err != nil {
		problems.add(cfg.settingsFrom, err.Error())
	}

	cfg.mode = identity.Mode(getenv("BERTH_IDENTITY"))
	cfg.verifier, err = identity.New(identity.Options{Mode: cfg.mode, Getenv: getenv, OIDC: cfg.settings.OIDC})
	if err != nil {
		problems.add("BERTH_IDENTITY", err.Error())
	}
	if cfg.mode == identity.ModeDev && getenv("K_SERVICE") == "" && cfg.settings.Access.Default == nil {
		cfg.settings.Access.Default = new(guard.Admin) // it is one's own machine
	}

	port := cmp.Or(getenv("PORT"), "8080")
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		problems.add("PORT", fmt.Sprintf("%q is no port: use a number from 0 (any free port) to 65535", port))
	}
	cfg.address = net.JoinHostPort(cfg.host(getenv, &problems), port)

	return cfg, problems.err()
}

// host is the IP address to listen on; empty means every one of the machine's.
func (c config) host(getenv func(string) string, problems *problems) string {
	host := getenv("BERTH_LISTEN")
	if host == "" && c.mode == identity.ModeDev {
		return "127.0.0.1"
	}
	if host == "" {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		problems.add("BERTH_LISTEN", fmt.Sprintf("%q is no IP address: use one such as 127.0.0.1, or 0.0.0.0 for every one of this machine's", host))
		return host
	}
	if c.mode != identity.ModeDev || addr.Unmap().IsLoopback() {
		return host
	}
	switch {
	case getenv("K_SERVICE") != "":
		problems.add("BERTH_LISTEN", fmt.Sprintf("with BERTH_IDENTITY=dev on Cloud Run, %s would let in everyone as %s: use BERTH_IDENTITY=cloudrun", host, identity.DevEmail))
	case getenv("BERTH_DEV_ALLOW_ANYONE") != "true":
		problems.add("BERTH_LISTEN", fmt.Sprintf("with BERTH_IDENTITY=dev, whoever reaches %s may use this server as %s: leave it out, or accept that with BERTH_DEV_ALLOW_ANYONE=true", host, identity.DevEmail))
	}
	return host
}

// loopback says if only this machine can reach the address.
func (c config) loopback() bool {
	addr, err := netip.ParseAddrPort(c.address)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// problems collects what is wrong with the environment, by variable.
type problems []error

func (p *problems) add(variable, what string) {
	*p = append(*p, fmt.Errorf("%s: %s", variable, what))
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	var lines []string
	for _, problem := range p {
		lines = append(lines, problem.Error())
	}
	return errors.New("the environment is not right:\n  " + strings.Join(lines, "\n  "))
}
