package tokentest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Network is a corporate one, on loopback: all names lead to the one TLS endpoint that is
// set, by way of a proxy. With it, tests of what only Google's own names are good for reach
// nothing beyond this machine.
type Network struct {
	proxy *httptest.Server

	mu     sync.Mutex
	to     string // HOST:PORT
	asked  []string
	tunnel sync.WaitGroup
}

// NewNetwork starts a network, until the process ends.
func NewNetwork() *Network {
	n := &Network{}
	n.proxy = httptest.NewServer(http.HandlerFunc(n.connect))
	return n
}

// URL is that of the network's proxy.
func (n *Network) URL() string { return n.proxy.URL }

// Lead has all names lead to a HOST:PORT; to none, if it is empty.
func (n *Network) Lead(to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to, n.asked = to, nil
}

// Enter starts the network, and has this process use it for good: the environment's proxy
// is looked up once. It is for TestMain.
func Enter() (*Network, error) {
	n := NewNetwork()
	for name, value := range map[string]string{"HTTPS_PROXY": n.URL(), "https_proxy": "", "NO_PROXY": "", "no_proxy": ""} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Network) connect(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.asked = append(n.asked, r.Method+" "+r.Host)
	to := n.to
	n.mu.Unlock()
	if r.Method != http.MethodConnect || to == "" {
		http.Error(w, "nothing is there", http.StatusForbidden)
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	n.tunnel.Go(func() {
		_, _ = io.Copy(server, buffered)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
}

// Asked are the destinations that were asked for, the oldest first.
func (n *Network) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.asked...)
}

// NewGoogle starts an endpoint that is Google's on a network, until the end of the test. Its
// certificate is of an authority that is believed only if it is told to be.
func NewGoogle(t testing.TB, n *Network) (*Endpoint, *x509.CertPool) {
	t.Helper()
	e := &Endpoint{Email: "ada@example.com", Lifetime: time.Hour, Issuer: "https://accounts.google.com", URL: "https://oauth2.googleapis.com/token"}
	e.server = httptest.NewUnstartedServer(http.HandlerFunc(e.serve))
	certificate, roots := certificate(t, "*.googleapis.com")
	e.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	e.server.Config.ErrorLog = silentLog
	e.server.StartTLS()
	n.Lead(e.server.Listener.Addr().String())
	t.Cleanup(func() {
		n.Lead("")
		e.server.Close()
		n.tunnel.Wait()
	})
	return e, roots
}

func certificate(t testing.TB, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a corporate authority"}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, roots
}
