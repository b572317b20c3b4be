// Package metadata is the metadata server of one instance: it tells the program
// in it where it is, and gives it tokens of the account that its service runs
// as. It is what Google's libraries ask when they find no other credential.
//
// It answers whoever reaches it on this machine, as Google's answers whoever is
// in the instance: its address is the instance's own, and known to it alone. It
// must not know of policies: what the account may do is up to those it calls.
package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tokens issues the tokens of accounts. An account that is not there any more
// gets an error.
type Tokens interface {
	IDToken(email, audience string) (string, error)
	// ShortLivedAccessToken is for a lifetime; 0 is the longest there is.
	ShortLivedAccessToken(email string, lifetime time.Duration) (token string, expires time.Time, err error)
}

// Instance is what the server tells about.
type Instance struct {
	// ID of the instance, as Google's: hexadecimal.
	ID            string
	ProjectID     string
	ProjectNumber int64
	// Region such as europe-west1.
	Region string
	// Account is the e-mail of the service account that it runs as.
	Account string
}

// scopes are those that every instance on Cloud Run has.
var scopes = []string{
	"https://www.googleapis.com/auth/cloud-platform",
	"https://www.googleapis.com/auth/userinfo.email",
	"openid",
}

const (
	// root begins every path but the one that tells that this is the server.
	root = "/computeMetadata/v1/"
	// flavorHeader must be on each request: no page in a browser and no
	// redirect can put it there.
	flavorHeader = "Metadata-Flavor"
	flavor       = "Google"
	// headerTimeout bounds how long a request may take to arrive.
	headerTimeout = 5 * time.Second
	maxHeader     = 16 << 10 // bytes
)

// Server is a running metadata server.
type Server struct {
	listener net.Listener
	server   *http.Server
	served   chan struct{}
}

// Start starts a server on a free port of loopback. It runs until Close.
func Start(of Instance, tokens Tokens) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening the metadata server's address: %w", err)
	}
	s := &Server{
		listener: listener,
		server: &http.Server{
			Handler:           Handler(of, tokens),
			ReadHeaderTimeout: headerTimeout,
			MaxHeaderBytes:    maxHeader,
		},
		served: make(chan struct{}),
	}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener) // ends with Close
	}()
	return s, nil
}

// Addr is the HOST:PORT to name in GCE_METADATA_HOST.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the server and frees its port.
func (s *Server) Close() error {
	err := s.server.Close()
	<-s.served
	return err
}

// Handler answers as the metadata server of an instance. Paths and answers are
// those of https://cloud.google.com/run/docs/container-contract#metadata-server.
func Handler(of Instance, tokens Tokens) http.Handler {
	project := strconv.FormatInt(of.ProjectNumber, 10)
	mux := http.NewServeMux()
	for path, value := range map[string]string{
		"instance/id":                of.ID,
		"instance/region":            "projects/" + project + "/regions/" + of.Region,
		"instance/zone":              "projects/" + project + "/zones/" + of.Region + "-1",
		"project/numeric-project-id": project,
		"project/project-id":         of.ProjectID,
		"universe/universe-domain":   "googleapis.com",
	} {
		mux.HandleFunc("GET "+root+path, func(w http.ResponseWriter, _ *http.Request) { writeText(w, value) })
	}
	a := &account{email: of.Account, tokens: tokens}
	mux.HandleFunc("GET "+root+"instance/service-accounts/{$}", a.list)
	mux.HandleFunc("GET "+root+"instance/service-accounts/{account}/{$}", a.named(a.describe))
	mux.HandleFunc("GET "+root+"instance/service-accounts/{account}/email", a.named(func(w http.ResponseWriter, _ *http.Request) { writeText(w, a.email) }))
	mux.HandleFunc("GET "+root+"instance/service-accounts/{account}/scopes", a.named(func(w http.ResponseWriter, _ *http.Request) { writeText(w, strings.Join(scopes, "\n")+"\n") }))
	mux.HandleFunc("GET "+root+"instance/service-accounts/{account}/token", a.named(a.accessToken))
	mux.HandleFunc("GET "+root+"instance/service-accounts/{account}/identity", a.named(a.idToken))
	// What libraries ask to find out whether they are on Google Cloud.
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { writeText(w, "computeMetadata/\n") })
	return guard(mux)
}

// guard lets in only what a program in the instance has sent on purpose, as
// Google's server does.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(flavorHeader, flavor)
		w.Header().Set("Server", "Metadata Server for Serverless")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case r.Header.Get("X-Forwarded-For") != "":
			http.Error(w, "the request was forwarded: ask the metadata server yourself", http.StatusForbidden)
		case !slices.Equal(r.Header.Values(flavorHeader), []string{flavor}) && r.URL.Path != "/":
			http.Error(w, "Missing required header: "+flavorHeader+": "+flavor, http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// account answers about the one account that an instance has.
type account struct {
	email  string
	tokens Tokens
}

// named lets through what is asked of the account by its e-mail or as default.
func (a *account) named(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("account"); name != "default" && name != a.email {
			http.Error(w, fmt.Sprintf("this instance has no account %.200q; it has default, which is %s", name, a.email), http.StatusNotFound)
			return
		}
		next(w, r)
	}
}

func (a *account) list(w http.ResponseWriter, _ *http.Request) {
	writeText(w, "default/\n"+a.email+"/\n")
}

func (a *account) describe(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("recursive") != "true" {
		writeText(w, "aliases\nemail\nidentity\nscopes\ntoken\n")
		return
	}
	writeJSON(w, map[string]any{"aliases": []string{"default"}, "email": a.email, "scopes": scopes})
}

func (a *account) accessToken(w http.ResponseWriter, _ *http.Request) {
	token, expires, err := a.tokens.ShortLivedAccessToken(a.email, 0)
	if err != nil {
		a.fail(w, err)
		return
	}
	writeJSON(w, map[string]any{
		"access_token": token,
		"expires_in":   max(0, int64(time.Until(expires).Seconds())),
		"token_type":   "Bearer",
	})
}

func (a *account) idToken(w http.ResponseWriter, r *http.Request) {
	audience, err := audienceOf(r.URL.RawQuery)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := a.tokens.IDToken(a.email, audience)
	if err != nil {
		a.fail(w, err)
		return
	}
	writeText(w, token)
}

func audienceOf(query string) (string, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("reading the query: %w", err)
	}
	if values.Get("audience") == "" {
		return "", errors.New("non-empty audience parameter required: give the URL of the service that is to be called")
	}
	return values.Get("audience"), nil
}

// fail is about an account that was deleted or disabled while its instance runs.
func (a *account) fail(w http.ResponseWriter, err error) {
	http.Error(w, fmt.Sprintf("%s gets no tokens: %v", a.email, err), http.StatusNotFound)
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/text")
	_, _ = w.Write([]byte(text)) // the program may have gone
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // the program may have gone
}
