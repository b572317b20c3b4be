// Package page is what a browser shows at the proxy's address: the clients, how their
// calls go, whether they can be reached, and how to connect editors to them.
//
// It shows no token and keeps no cookie. Opening it asks no server: only the button does,
// and no other site can press that.
package page

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/relay"
)

//go:embed assets
var files embed.FS

// The paths of the page. A client's name has no dot, so that none is a client's.
const (
	root       = "/{$}"
	assetStem  = "/berth-proxy."
	checkPath  = "/berth-proxy.check"
	checkField = "client"
	proofField = "proof"
)

// maxForm bounds the form of the button, in bytes: a name and a proof.
const maxForm = 4 << 10

// Options say what the page shows. All are required except Logger.
type Options struct {
	Port     int                        // of the proxy
	Secret   func() string              // of its paths, or ""
	Version  string                     // of the proxy
	Snapshot func() []relay.ClientStats // the clients and their figures
	Account  func() string              // whose token was sent last; "" if none was
	Visit    func(context.Context, relay.Target) doctor.Report
	System   editors.System
	Command  func(client string) []string // that serves a client on standard input and output
	Logger   *slog.Logger
}

// A Page answers the requests of browsers.
type Page struct {
	Options
	template *template.Template
	proof    string // that a form comes from this page; new in every run

	checking sync.Mutex // one check at a time

	mu      sync.Mutex
	checks  map[string]check // by client
	account string           // that the last check found
}

// A check is what the button has found out.
type check struct {
	At      time.Time
	Server  string // that was asked, as a client may have been given another since
	Results []doctor.Result
}

// New returns a Page.
func New(o Options) *Page {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Page{
		Options:  o,
		template: template.Must(template.ParseFS(files, "assets/page.html")),
		proof:    rand.Text(),
		checks:   map[string]check{},
	}
}

// Register has a relay, or another that takes the patterns of [http.ServeMux], show the
// page.
func (p *Page) Register(handle func(pattern string, handler http.Handler)) {
	handle("GET "+root, secured(p.show))
	handle("POST "+checkPath, secured(p.check))
	for extension, mediaType := range map[string]string{"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"} {
		content, err := fs.ReadFile(files, "assets/page."+extension)
		if err != nil {
			panic(err) // it was built without them
		}
		handle("GET "+assetStem+extension, secured(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
			_, _ = w.Write(content) // a browser that has gone needs none
		}))
	}
}

// policy lets the page load its own assets and send its own form, and nothing else; nobody
// may show it in a frame.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

func secured(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // with none, the form's Origin would be "null"
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next(w, r)
	})
}

func (p *Page) show(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	if err := p.template.Execute(&body, p.view()); err != nil {
		p.Logger.Error("the page cannot be shown", "error", err)
		http.Error(w, "the page cannot be shown: see berth-proxy's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The template escapes what a browser would obey; this, what a person could not see.
	_, _ = plaintext.NewWriter(w).Write(body.Bytes()) // a browser that has gone needs none
}

// check is the button: it makes the checks of one client and shows the page again.
func (p *Page) check(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if !p.pressedHere(r) {
		http.Error(w, "only the page of this berth-proxy can ask for this: open it again", http.StatusForbidden)
		return
	}
	name := r.PostFormValue(checkField)
	for _, c := range p.Snapshot() {
		if c.Target.Name != name {
			continue
		}
		p.checking.Lock()
		report := p.Visit(r.Context(), c.Target)
		p.checking.Unlock()
		p.mu.Lock()
		p.checks[name] = check{time.Now(), c.Target.URL(), report.Results}
		p.account = report.Account
		p.mu.Unlock()
		// Relative, as the page may be below a secret in the path.
		w.Header().Set("Location", "./#"+name)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	http.Error(w, "there is no such client any more: open the page again", http.StatusNotFound)
}

// pressedHere reports whether a form was sent by the page itself. Any one of the three
// would do in a browser of today. Another server of this computer is of the same site, and
// so is a page of a client's server, but neither is of the same origin.
func (p *Page) pressedHere(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "same-origin" &&
		len(r.Header.Values("Origin")) == 1 && r.Header.Get("Origin") == "http://"+r.Host &&
		subtle.ConstantTimeCompare([]byte(r.PostFormValue(proofField)), []byte(p.proof)) == 1
}

// signedIn is who the developer is, as far as it is known without asking.
func (p *Page) signedIn() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cmp.Or(p.Account(), p.account)
}

// checked is what the button has found out of the client's present server.
func (p *Page) checked(c relay.ClientStats) *check {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, found := p.checks[c.Target.Name]
	if !found || last.Server != c.Target.URL() {
		return nil
	}
	return &last
}
