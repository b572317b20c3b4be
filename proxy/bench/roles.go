package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"time"
)

// roles are what this program is when it has started itself.
var roles = map[string]func(args []string){
	"role-server": func([]string) { serve(server()) },
	"role-secure": func(args []string) { serveSecure(server(), args[0]) },
	"role-plain":  func(args []string) { serve(plain(args[0], args[1:]...)) },
}

// serve answers on a port of its own, which it prints, until its standard input ends: with
// the process that started it.
func serve(handler http.Handler) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	go endWithStarter()
	log.Fatal(http.Serve(l, handler))
}

func endWithStarter() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// serveSecure answers over TLS, as Cloud Run does, with a certificate whose authority it
// writes to a file.
func serveSecure(handler http.Handler, authority string) {
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100} // as many as Google's front end has
	s.StartTLS()
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.URL)
	endWithStarter()
}

// plain is what one writes who knows that streams must not be buffered and that the
// default transport keeps two connections. It believes the authorities in files beside the
// system's.
func plain(to string, authorities ...string) http.Handler {
	target, err := url.Parse(to)
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	transport.MaxIdleConns = 0
	for _, file := range authorities {
		content, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(content)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // of the streams that break
	}
}

const (
	// call and answer are of the size that a tool's usually are.
	call   = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_goals","arguments":{"quarter":"2026-Q4","status":"open"}}}`
	answer = `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"{\"goals\":[{\"id\":\"g-1\",\"title\":\"Halve the time to onboard\",\"owner\":\"ada@example.com\",\"due\":\"2026-12-31\",\"progress\":0.4}]}"}]}}`
	event  = "event: message\ndata: " + answer + "\n\n"
)

// server is what all contenders stand in front of, and the token endpoint for the one that
// wants a token.
func server() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.RawQuery) // this program's own
		w.Header().Set("Content-Type", "text/event-stream")
		out := http.NewResponseController(w)
		for range n {
			_, _ = io.WriteString(w, event)
			_ = out.Flush()
		}
	})
	mux.HandleFunc("/idle", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/mcp", mcp)
	mux.HandleFunc("/token", issue)
	return mux
}

// issue answers with an ID token that nobody has signed.
func issue(w http.ResponseWriter, r *http.Request) {
	claims, err := json.Marshal(map[string]any{
		"iss": "http://" + r.Host, "email": "ada@example.com", "email_verified": true, "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	segment := base64.RawURLEncoding.EncodeToString
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "none", "token_type": "Bearer", "expires_in": 3600,
		"id_token": segment([]byte(`{"alg":"RS256"}`)) + "." + segment(claims) + "." + segment([]byte("signature")),
	})
}
