package frontend_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/internal/localcloud/frontend"
)

func TestARequestReachesTheInstanceAsItIsWithWhatThePlatformAdds(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	header := w.as("ana@example.com")
	header.Set("X-Own", "mine")
	header.Set("X-Forwarded-For", "10.9.8.7")
	header.Set("X-Forwarded-Proto", "gopher")
	header.Set("Te", "trailers")
	header.Set("Proxy-Authorization", "Basic x")
	res, err := send(t, client, http.MethodPatch, url+"/a%2Fb/c?d=e%20f&&g", header, strings.NewReader("the body"))
	require.NoError(t, err)
	got := res.seen(t)
	assert.Equal(t, "PATCH", got.Method)
	assert.Equal(t, "/a%2Fb/c?d=e%20f&&g", got.URI)
	assert.Equal(t, "the body", got.Body)
	assert.Equal(t, strings.TrimPrefix(url, "http://"), got.Host)
	assert.Equal(t, "HTTP/1.1", got.Proto)
	assert.Equal(t, []string{"mine"}, got.Header["X-Own"])
	assert.Equal(t, []string{"10.9.8.7, 127.0.0.1"}, got.Header["X-Forwarded-For"])
	assert.Equal(t, []string{"http"}, got.Header["X-Forwarded-Proto"])
	assert.Equal(t, []string{"for=127.0.0.1;proto=http"}, got.Header["Forwarded"])
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`, got.Header.Get("Traceparent"))
	assert.Regexp(t, `^[0-9a-f]{32}/\d+;o=0$`, got.Header.Get("X-Cloud-Trace-Context"))
	assert.NotContains(t, got.Header, "Te")
	assert.NotContains(t, got.Header, "Proxy-Authorization")

	assert.Equal(t, "yes", res.Header.Get("X-From-Instance"))
	assert.Equal(t, "Google Frontend", res.Header.Get("Server"))
	assert.Equal(t, got.Header.Get("Traceparent")[3:35], res.Header.Get("X-Cloud-Trace-Context"))
}

func TestTheInstancesOwnRefusalPassesAsItIs(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	res := get(t, url+"/401", w.as("ana@example.com"))
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
	assert.Equal(t, `Bearer resource_metadata="https://example.com"`, res.Header.Get("WWW-Authenticate"))
	assert.Equal(t, "my own refusal\n", res.body)
}

func TestHTTP2ClientsAreServed(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			body := fmt.Sprintf("%d %s", n, strings.Repeat("x", 100<<10))
			res, err := send(t, &http.Client{Transport: transport}, http.MethodPost, url+"/", w.as("ana@example.com"), strings.NewReader(body))
			if assert.NoError(t, err) && assert.Equal(t, 200, res.StatusCode) {
				assert.Equal(t, 2, res.ProtoMajor)
				assert.Contains(t, res.body, fmt.Sprintf(`"body":"%d xxx`, n))
			}
		})
	}
	wg.Wait()
}

func TestOnlyTheServicesOwnAddressIsServed(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	for host, want := range map[string]int{
		"127.0.0.1:" + port: 200, "localhost:" + port: 200, "evil.example:" + port: 404, "127.0.0.1": 404, "127.0.0.1:1": 404,
	} {
		req := request(t, url+"/", w.as("ana@example.com"))
		req.Host = host
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, want, res.StatusCode, host)
	}
	assert.Equal(t, 404, get(t, url+"/healthz", w.as("ana@example.com")).StatusCode, "the front end keeps this path")
}

func TestABodyMayHave32MiBAndNoMore(t *testing.T) {
	const limit = 32 << 20
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	post := func(body io.Reader, header http.Header) int {
		res, err := send(t, client, http.MethodPost, url+"/", header, body)
		require.NoError(t, err)
		return res.StatusCode
	}
	assert.Equal(t, 200, post(bytes.NewReader(make([]byte, limit)), w.as("ana@example.com")))
	// A body of unknown length is counted as it comes. The writer ends when
	// nobody reads any more.
	tooLong := io.MultiReader(bytes.NewReader(make([]byte, limit)), strings.NewReader("x"))
	assert.Equal(t, 413, post(tooLong, w.as("ana@example.com")))

	// One that says it is too long is refused before it comes.
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n",
		strings.TrimPrefix(url, "http://"), w.as("ana@example.com").Get("Authorization"), limit+1)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, 413, res.StatusCode)
}

func TestAStreamIsFlushedAtOnceAndCutAtTheTimeout(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	// A machine that is busy may take longer than a second until the first event.
	timeout, came := time.Second, false
	for ; !came && timeout < patience; timeout *= 2 {
		url := w.deploy(withTimeout(w.service(acme), timeout), "acme-00001-abc")
		begin := time.Now()
		res, err := client.Do(request(t, url+"/stream", w.as("ana@example.com")))
		require.NoError(t, err)
		defer res.Body.Close()
		reader := bufio.NewReader(res.Body)
		line, _ := reader.ReadString('\n')
		came = line == "data: first\n"
		if came {
			_, err = io.ReadAll(reader)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the client cannot take it for whole")
			assert.GreaterOrEqual(t, time.Since(begin), timeout)
		}
	}
	require.True(t, came, "the first event comes before the end")
	eventually(t, "the instance hears of it", func() bool { return strings.Contains(w.log.String(), "stream ended") })
}

func TestAnAnswerThatDoesNotBeginInTimeIs504(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(withTimeout(w.service(acme), 300*time.Millisecond), "acme-00001-abc")
	res := get(t, url+"/hang", w.as("ana@example.com"))
	assert.Equal(t, http.StatusGatewayTimeout, res.StatusCode)
	assert.Contains(t, res.body, "maximum request timeout")
}

func TestABodyThatDoesNotComeInTimeIs408(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(withTimeout(w.service(acme), 300*time.Millisecond), "acme-00001-abc")
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Length: 10\r\n\r\nhalf",
		strings.TrimPrefix(url, "http://"), w.as("ana@example.com").Get("Authorization"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusRequestTimeout, res.StatusCode)
}

func TestAClientThatGoesAwayEndsTheRequestAtTheInstance(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	ctx, cancel := context.WithCancel(t.Context())
	res, err := client.Do(request(t, url+"/stream", w.as("ana@example.com")).WithContext(ctx))
	require.NoError(t, err)
	defer res.Body.Close()
	cancel()
	eventually(t, "the instance hears of it", func() bool { return strings.Contains(w.log.String(), "stream ended") })
	eventually(t, "its place is free again", func() bool { return w.Instances(acme)[0].Active == 0 })
}

func TestAnInstanceThatDiesUnderARequestIs503AndTheNextRequestWorks(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	pid := w.Instances(acme)[0].PID
	res := get(t, url+"/die", w.as("ana@example.com"))
	assert.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	assert.Contains(t, res.body, "503 Service Unavailable")
	eventually(t, "its end is noticed", func() bool { return !has(w.Instances(acme), pid) })
	assert.NotEqual(t, pid, get(t, url+"/", w.as("ana@example.com")).seen(t).PID)
}

func TestAStreamOfAnInstanceThatDiesIsCut(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	res, err := client.Do(request(t, url+"/stream", w.as("ana@example.com")))
	require.NoError(t, err)
	defer res.Body.Close()
	kill(t, w.Instances(acme)[0].PID)
	_, err = io.ReadAll(res.Body)
	require.Error(t, err)
	require.False(t, errors.Is(err, io.EOF))
}

func TestAffinityKeepsAClientAtItsInstance(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	svc.Template.SessionAffinity = true
	svc.Template.Scaling = &runpb.RevisionScaling{MinInstanceCount: 3, MaxInstanceCount: 3}
	url := w.deploy(svc, "acme-00001-abc")
	eventually(t, "three instances", func() bool { return len(w.Instances(acme)) == 3 })

	first := get(t, url+"/", w.as("ana@example.com"))
	pid := first.seen(t).PID
	require.Len(t, first.Cookies(), 1)
	cookie := first.Cookies()[0]
	assert.Equal(t, "GAESA", cookie.Name)
	assert.Equal(t, 30*24*60*60, cookie.MaxAge)
	// A request in flight makes its instance the one that would not be chosen.
	header := w.as("ana@example.com")
	header.Set("Cookie", cookie.Name+"="+cookie.Value)
	stream, err := client.Do(request(t, url+"/stream", header))
	require.NoError(t, err)
	defer stream.Body.Close()
	for range 5 {
		res := get(t, url+"/", header)
		assert.Equal(t, pid, res.seen(t).PID)
		assert.Empty(t, res.Cookies())
	}

	kill(t, pid)
	eventually(t, "its end is noticed", func() bool { return !has(w.Instances(acme), pid) })
	moved := get(t, url+"/", header)
	assert.NotEqual(t, pid, moved.seen(t).PID)
	require.Len(t, moved.Cookies(), 1, "another instance says so")
}

func TestNoCookieWithoutAffinity(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	assert.Empty(t, get(t, url+"/", w.as("ana@example.com")).Cookies())
}
