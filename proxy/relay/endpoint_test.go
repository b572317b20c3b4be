package relay

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func toLocal(url string) (string, error) {
	if strings.HasPrefix(url, "/globex") {
		return "", errSteered
	}
	return "/acme" + url, nil
}

func TestOnlyTheEndpointEventIsRewritten(t *testing.T) {
	long := strings.Repeat("x", maxFirstEvent)
	for name, test := range map[string]struct{ in, out string }{
		"the usual form":              {"event: endpoint\ndata: /m?s=1\n\n", "event: endpoint\ndata: /acme/m?s=1\n\n"},
		"data before event":           {"data: /m\nevent: endpoint\n\n", "data: /acme/m\nevent: endpoint\n\n"},
		"no space after the colon":    {"event:endpoint\ndata:/m\n\n", "event:endpoint\ndata:/acme/m\n\n"},
		"two spaces after the colon":  {"event: endpoint\ndata:  /m\n\n", "event: endpoint\ndata: /acme /m\n\n"},
		"CR LF":                       {"event: endpoint\r\ndata: /m\r\n\r\n", "event: endpoint\r\ndata: /acme/m\r\n\r\n"},
		"CR":                          {"event: endpoint\rdata: /m\r\r", "event: endpoint\rdata: /acme/m\r\r"},
		"mixed line ends":             {"event: endpoint\rdata: /m\n\r\ndata: x\n\n", "event: endpoint\rdata: /acme/m\n\r\ndata: x\n\n"},
		"a byte order mark":           {"\ufeffevent: endpoint\ndata: /m\n\n", "\ufeffevent: endpoint\ndata: /acme/m\n\n"},
		"a comment before":            {": hi\n\nevent: endpoint\ndata: /m\n\n", ": hi\n\nevent: endpoint\ndata: /acme/m\n\n"},
		"a comment within":            {"event: endpoint\n: hi\ndata: /m\n\n", "event: endpoint\n: hi\ndata: /acme/m\n\n"},
		"a retry before":              {"retry: 5\n\nevent: endpoint\ndata: /m\n\n", "retry: 5\n\nevent: endpoint\ndata: /acme/m\n\n"},
		"empty lines before":          {"\n\r\n\revent: endpoint\ndata: /m\n\n", "\n\r\n\revent: endpoint\ndata: /acme/m\n\n"},
		"the last event name counts":  {"event: message\nevent: endpoint\ndata: /m\n\n", "event: message\nevent: endpoint\ndata: /acme/m\n\n"},
		"an event after it":           {"event: endpoint\ndata: /m\n\nevent: message\ndata: /n\n\n", "event: endpoint\ndata: /acme/m\n\nevent: message\ndata: /n\n\n"},
		"no endpoint event":           {"event: message\ndata: {\"event: endpoint\": 1}\n\nevent: endpoints\ndata: /m\n\n", "event: message\ndata: {\"event: endpoint\": 1}\n\nevent: endpoints\ndata: /m\n\n"},
		"a large first message":       {"data: /" + long + "\n\n", "data: /" + long + "\n\n"},
		"an endpoint at the very end": {"event: endpoint\ndata: /m", "event: endpoint\ndata: /acme/m"},
		"an empty stream":             {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, chunked := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
				out, err := io.ReadAll(&endpointRewriter{source: chunked(strings.NewReader(test.in)), rewrite: toLocal})
				require.NoError(t, err)
				assert.Equal(t, test.out, string(out))
			}
		})
	}
}

// What may steer the client, in the eyes of any reader of event streams, never arrives as
// an event that is complete.
func TestAnEndpointThatCannotBeRewrittenEndsTheStream(t *testing.T) {
	long := strings.Repeat("x", maxFirstEvent)
	for name, test := range map[string]struct{ in, out string }{
		"one that is refused":                   {": hi\n\nevent: endpoint\ndata: /globex\n\n: more", ": hi\n\n"},
		"one at the very end":                   {"data: /globex\nevent: endpoint", ""},
		"a second one":                          {"event: endpoint\ndata: /m\n\nevent: endpoint\ndata: /n\n\n", "event: endpoint\ndata: /acme/m\n\nevent: endpoint"},
		"one after a message":                   {"event: message\ndata: {}\n\nevent:endpoint\ndata: /n\n\n", "event: message\ndata: {}\n\nevent:endpoint"},
		"one after a message, data first":       {"data: {}\r\n\r\ndata: /n\r\nevent: endpoint\r\n\r\n", "data: {}\r\n\r\ndata: /n\r\nevent: endpoint"},
		"one after a message, at the very end":  {"data: {}\n\ndata: /n\nevent: endpoint", "data: {}\n\ndata: /n\nevent: endpoint"},
		"data of two lines":                     {"event: endpoint\ndata: http://localhost\ndata: :3030/globex\n\n", "event: endpoint"},
		"no data":                               {"event: endpoint\n\ndata: x\n\n", "event: endpoint"},
		"empty data":                            {"event: endpoint\ndata\n\n", "event: endpoint"},
		"one that is far too large":             {"event: endpoint\ndata: /" + long + "\n\n", "event: endpoint"},
		"one that is far too large, data first": {"data: /" + long + "\nevent: endpoint\n\n", "data: /" + long + "\nevent: endpoint"},
		"a name in spaces":                      {"event: \t endpoint \ndata: /n\n\n", "event: \t endpoint"},
		// Some readers, the Go SDK's among them, take a CR alone for no line's end.
		"a name behind a CR":     {"event: \rendpoint\ndata: /n\n\n", "event: \rendpoint"},
		"a block that CRs end":   {"event: endpoint\nx: \r\r\ndata: /n\n\n", "event: endpoint"},
		"data behind a CR":       {"event: endpoint\ndata:\r/n\n\n", "event: endpoint"},
		"a name between two CRs": {"event:\revent: endpoint\rdata\r\r", "event:\revent: endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, chunked := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
				out, err := io.ReadAll(&endpointRewriter{source: chunked(strings.NewReader(test.in)), rewrite: toLocal})
				require.ErrorIs(t, err, errEndpoint)
				assert.Equal(t, test.out, string(out))
			}
		})
	}
}

func TestTheRewriterHoldsNothingBackThatIsSettled(t *testing.T) {
	r, w := io.Pipe()
	e := &endpointRewriter{source: r, rewrite: toLocal}
	got := make(chan string)
	go func() {
		defer close(got)
		buf := make([]byte, 1024)
		for {
			n, err := e.Read(buf)
			if n > 0 {
				got <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	for _, step := range [][2]string{
		{": waking\n\n", ": waking\n\n"},
		{"event: endpoint\ndata: /m\n\n", "event: endpoint\ndata: /acme/m\n\n"},
		{": half a", ": half a"},
		{" line", " line"},
	} {
		_, err := io.WriteString(w, step[0])
		require.NoError(t, err)
		assert.Equal(t, step[1], within(t, got, step[1]))
	}
	require.NoError(t, w.Close())
	_, more := <-got
	assert.False(t, more)
}

func TestTheRewriterPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	source := io.MultiReader(strings.NewReader("event: message\n"), iotest.ErrReader(broken))
	out, err := io.ReadAll(&endpointRewriter{source: source, rewrite: toLocal})
	assert.Equal(t, "event: message\n", string(out))
	assert.ErrorIs(t, err, broken)
}

// endpointsOf reads a stream as the HTML standard says and returns the data of the events
// named endpoint, and whether the first of all is one. It shares no code with the rewriter.
func endpointsOf(stream string) (endpoints []string, first bool) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	all := strings.Split(stream, "\n")
	var name string
	var data []string
	events := 0
	for _, line := range all[:len(all)-1] { // what has no end is dropped
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil && name == "endpoint" {
				endpoints = append(endpoints, strings.Join(data, "\n"))
				first = first || events == 0
			}
			if data != nil {
				events++
			}
			name, data = "", nil
		case field == "event":
			name = value
		case field == "data":
			data = append(data, value)
		}
	}
	return endpoints, first
}

// namesAnEndpoint finds the lines at which the rewriter may end a stream.
var namesAnEndpoint = regexp.MustCompile(`(^|\x{feff}|[\r\n])event:[\s\v]*endpoint([\s\v]|$)`)

func FuzzEndpointRewriter(f *testing.F) {
	for _, seed := range []string{
		"event: endpoint\ndata: /m?s=1\n\nevent: message\ndata: {}\n\n",
		": hi\r\n\r\nevent:endpoint\r\ndata:/m\r\n\r\n",
		"\ufeffdata: /m\revent: endpoint\r\rdata", "\r\n\n\r", "event: endpoint\ndata\n\n", "event: endpoint\n\ndata: x\n\n",
		"data: {}\n\nevent: endpoint\ndata: /m\n\n", "event: \rendpoint\ndata: /m\n\n", "event: endpoint\ndata: /m\ndata: /n\n\n",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	const mark = "<here>"
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		if bytes.Contains(in, []byte(mark)) {
			return
		}
		rewritten := func(r io.Reader) (string, error) {
			calls := 0
			out, err := io.ReadAll(&endpointRewriter{source: r, rewrite: func(url string) (string, error) { calls++; return mark + url, nil }})
			require.LessOrEqual(t, calls, 1)
			return string(out), err
		}
		whole, err := rewritten(bytes.NewReader(in))
		inChunks, errInChunks := rewritten(&chunks{in, int(chunk)%7 + 1})
		require.Equal(t, whole, inChunks, "how the stream is cut does not matter")
		require.Equal(t, err, errInChunks)

		after, first := endpointsOf(whole)
		require.LessOrEqual(t, len(after), 1, "one endpoint at most arrives")
		for _, url := range after {
			require.True(t, first)
			require.True(t, strings.HasPrefix(url, mark), "rewritten")
		}
		same := strings.Replace(whole, mark, "", 1)
		if err != nil {
			require.ErrorIs(t, err, errEndpoint)
			require.True(t, namesAnEndpoint.Match(in), "only an endpoint ends a stream")
			require.True(t, bytes.HasPrefix(in, []byte(same)))
			return
		}
		require.Equal(t, string(in), same, "nothing else changes")
		before, _ := endpointsOf(string(in))
		require.Len(t, after, len(before))
	})
}

// chunks reads a few bytes at a time.
type chunks struct {
	rest []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.rest[:min(c.size, len(c.rest))])
	c.rest = c.rest[n:]
	return n, nil
}
