//go:debug x509usefallbackroots=1
package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// An authority signs certificates that this test's process trusts.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

var trusted = newAuthority()

func init() {
	pool := x509.NewCertPool()
	pool.AddCert(trusted.certificate)
	x509.SetFallbackRoots(pool)
}

func newAuthority() authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return authority{certificate, key}
}

// serveTLS returns the port of a server with a certificate for a host.
func (a authority) serveTLS(t *testing.T, host string, until time.Time) string {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: until.Add(-2 * time.Hour), NotAfter: until, DNSNames: []string{host}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, a.key.Public(), a.key)
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the clients that hang up
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return port
}

// serveNames has this process ask a name server of the test, which knows acme.test alone.
func serveNames(t *testing.T) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answerName(packet[:n]), from)
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = conn.Close()
	})
}

func answerName(packet []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(packet) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	switch {
	case q.Name.String() != "acme.test.":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: netip.MustParseAddr("127.0.0.1").As4()}}}
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// withoutProxy says that this process began in an environment without a corporate proxy.
var withoutProxy = os.Getenv(inChild) != ""

const inChild = "BERTH_TEST_DOCTOR_CHILD"

// The environment's proxy is looked up once in a process, by a library before any test
// runs, so that this needs a process that began without one.
func TestTheWayToAServerIsToldStepByStep(t *testing.T) {
	if !withoutProxy {
		c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		c.Env = append(os.Environ(), inChild+"=1") // TestMain has cleared the rest
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	serveNames(t)
	soon := time.Now().Add(time.Hour)
	clear := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(clear.Close)
	_, clearPort, err := net.SplitHostPort(clear.Listener.Addr().String())
	require.NoError(t, err)

	for name, test := range map[string]struct {
		url  string
		want map[string]string
	}{
		"all is well": {"https://acme.test:" + trusted.serveTLS(t, "acme.test", soon), map[string]string{
			"name": "ok: acme.test is 127.0.0.1", "reach": "ok: answers at 127.0.0.1:", "tls": "ok: TLS 1.3, the certificate of acme.test is good until",
			// The test's login is of this machine's own cloud, and stays here.
			"access": "failed: cannot sign in to acme: the login is one of a cloud on this machine"}},
		"a name that is not known": {"https://acmee.test", map[string]string{
			"name": "failed: acmee.test is not found (no such host): check the spelling", "reach": "skipped", "tls": "skipped", "closed": "skipped",
			"access": "skipped: the server is not reached", "mcp": "skipped", "clock": "skipped: no server was reached"}},
		"nothing there": {"https://acme.test:1", map[string]string{
			"reach": "failed: no answer from https://acme.test:1 (dial tcp 127.0.0.1:1", "tls": "skipped"}},
		"a certificate of a stranger": {"https://acme.test:" + newAuthority().serveTLS(t, "acme.test", soon), map[string]string{
			"reach": "ok", "tls": "failed: the certificate of acme.test is signed by nobody whom this computer trusts: if your organisation inspects traffic, have its authority installed, or name its file with --ca-file"}},
		"a certificate for another host": {"https://acme.test:" + trusted.serveTLS(t, "other.test", soon), map[string]string{
			"tls": "failed: the certificate is not for acme.test ("}},
		"a certificate for a terminal": {"https://acme.test:" + trusted.serveTLS(t, "other\x1b[2J.test", soon), map[string]string{
			"tls": `failed: the certificate is not for acme.test (tls: failed to verify certificate: x509: certificate is valid for other\u001b[2J.test, not acme.test)`}},
		"a certificate that has ended": {"https://acme.test:" + trusted.serveTLS(t, "acme.test", time.Now().Add(-time.Minute)), map[string]string{
			"tls": "failed: the certificate of acme.test is not good at this computer's time ("}},
		"no encryption": {"https://acme.test:" + clearPort, map[string]string{
			"reach": "ok", "tls": "failed: no encrypted connection to acme.test ("}},
	} {
		t.Run(name, func(t *testing.T) {
			told(t, newDoctor(t, newEndpoint(t).source, "acme="+test.url).Run(t.Context()), test.want)
		})
	}
}
