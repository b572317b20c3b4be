package frontend

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
)

// hopByHop are the headers that concern one connection (RFC 9110, section
// 7.6.1), beside those that Connection names.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func dropHopByHop(header http.Header) {
	for _, list := range header["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		delete(header, name)
	}
}

// describeClient tells the instance who called and how, as Google's front end
// does. What the client says of itself stays before it in X-Forwarded-For.
func describeClient(header http.Header, remote string) {
	client, _, err := net.SplitHostPort(remote)
	if err != nil {
		client = remote
	}
	forwarded := client
	if prior := header["X-Forwarded-For"]; len(prior) > 0 {
		forwarded = strings.Join(prior, ", ") + ", " + client
	}
	header.Set("X-Forwarded-For", forwarded)
	header.Set("X-Forwarded-Proto", "http")
	node := client
	if strings.Contains(client, ":") {
		node = `"[` + client + `]"` // RFC 7239 quotes IPv6
	}
	header.Set("Forwarded", "for="+node+";proto=http")
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = nil // none, rather than Go's
	}
}

const cloudTraceHeader = "X-Cloud-Trace-Context"

var (
	traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$`)
	cloudTrace  = regexp.MustCompile(`^([0-9a-f]{32})(?:/|$)`)
)

// trace makes sure that a request carries its trace in both forms, and returns
// the id of the trace.
func trace(header http.Header) string {
	parent := traceparent.FindStringSubmatch(header.Get("Traceparent"))
	if parent == nil {
		var id [24]byte
		_, _ = rand.Read(id[:]) // never fails
		parent = []string{"", hex.EncodeToString(id[:16]), hex.EncodeToString(id[16:]), "00"}
		if known := cloudTrace.FindStringSubmatch(header.Get(cloudTraceHeader)); known != nil {
			parent[1] = known[1]
		}
		header.Set("Traceparent", fmt.Sprintf("00-%s-%s-%s", parent[1], parent[2], parent[3]))
	}
	if header.Get(cloudTraceHeader) == "" {
		span, _ := hex.DecodeString(parent[2]) // matched above
		sampled := 0
		if parent[3] == "01" {
			sampled = 1
		}
		header.Set(cloudTraceHeader, fmt.Sprintf("%s/%d;o=%d", parent[1], binary.BigEndian.Uint64(span), sampled))
	}
	return parent[1]
}
