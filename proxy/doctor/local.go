package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/relay"
)

// localTimeout bounds the wait for the proxy on this computer.
const localTimeout = 5 * time.Second

// checkProxy tells whether the proxy is where the editors look for it.
func (d *Doctor) checkProxy(ctx context.Context) Result {
	ctx, cancel := context.WithTimeout(ctx, localTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // by no other proxy's way
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, relay.LocalURL(d.Port, d.Secret)+"/liveness", nil)
	if err != nil {
		return Result{Check: Proxy, Status: Failed, Message: err.Error()}
	}
	resp, err := client.Do(r)
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return Result{Check: Proxy, Status: Warning,
			Message: fmt.Sprintf("nothing listens on port %d: start berth-proxy for editors that use a URL", d.Port)}
	case err != nil:
		return Result{Check: Proxy, Status: Failed,
			Message: fmt.Sprintf("what listens on port %d is not berth-proxy: stop that, or choose another port with --port", d.Port)}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Result{Check: Proxy, Status: Failed,
			Message: fmt.Sprintf("what listens on port %d is not berth-proxy, or one with other settings (--path-secret): stop that, or choose another port with --port", d.Port)}
	}
	return Result{Check: Proxy, Status: OK, Message: fmt.Sprintf("listens on port %d", d.Port)}
}

// checkEditors looks at the entries that lead to the proxy in every editor there is.
func (d *Doctor) checkEditors() []Result {
	var results []Result
	for _, e := range editors.All() {
		if !e.Found(d.Place.System) {
			continue
		}
		installed, err := e.Installed(d.Place)
		if err != nil {
			results = append(results, Result{Check: Editor, Status: Failed, Message: fmt.Sprintf("%s cannot read its configuration: %v: correct it", e.Title, err)})
			continue
		}
		for _, i := range installed {
			if !d.isAbout(i) {
				continue
			}
			r := Result{Client: i.Client, Check: Editor, Status: OK, Message: fmt.Sprintf("%s has it as %s", e.Title, i.Name)}
			if wrong := d.wrong(i); wrong != "" {
				r.Status, r.Message = Failed, fmt.Sprintf("%s has it as %s, %s: run %s", e.Title, i.Name, wrong, e.InstallCommand(i.Client, d.Port, d.Secret != ""))
			}
			results = append(results, r)
		}
	}
	if len(results) == 0 {
		return []Result{{Check: Editor, Status: Warning, Message: "no editor leads to the proxy: run berth-proxy install, see berth-proxy install --list"}}
	}
	return results
}

// isAbout reports whether an entry is for one of the clients that are looked at.
func (d *Doctor) isAbout(i editors.Installed) bool {
	for _, t := range d.Targets {
		if t.Name == i.Client {
			return true
		}
	}
	return false
}

// wrong tells what is wrong with an entry.
func (d *Doctor) wrong(i editors.Installed) string {
	if i.Command == "" {
		switch {
		case i.Port != d.Port:
			return fmt.Sprintf("but at port %d in place of %d", i.Port, d.Port)
		case i.Secret != d.Secret && d.Secret == "":
			return "but with a secret in the path, which the proxy is not told to have (--path-secret)"
		case i.Secret != d.Secret:
			return "but without the secret of the path"
		}
		return ""
	}
	if !strings.ContainsAny(i.Command, `/\`) {
		return "" // found in the editor's PATH, which is not known
	}
	info, err := os.Stat(i.Command)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "but there is no " + i.Command
	case err == nil && info.IsDir():
		return "but " + i.Command + " is a directory"
	}
	return ""
}
