package bridge

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func eventsOf(t testing.TB, r io.Reader) (events []event) {
	t.Helper()
	require.NoError(t, readEvents(r, func(e event) bool {
		events = append(events, e)
		return true
	}))
	return events
}

func TestEventsAreReadAsTheStandardHasThem(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []event
	}{
		"one":                         {"data: a\n\n", []event{{data: []byte("a")}}},
		"with a name":                 {"event: endpoint\ndata:/x\n\n", []event{{name: "endpoint", data: []byte("/x")}}},
		"of many lines":               {"data: a\ndata\ndata:  b\n\n", []event{{data: []byte("a\n\n b")}}},
		"with each end of a line":     {"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r", []event{{data: []byte("a\nb\nc")}, {data: []byte("d")}}},
		"without data":                {"id: 1\n\ndata: a\n\n", []event{{data: []byte("a"), id: "1"}}},
		"with empty data":             {"id: 1\ndata:\n\n", []event{{id: "1"}}},
		"after comments":              {": hello\n\n:\n\ndata: a\n\n", []event{{data: []byte("a")}}},
		"with an id that stays":       {"id: 1\ndata: a\n\ndata: b\n\n", []event{{data: []byte("a"), id: "1"}, {data: []byte("b"), id: "1"}}},
		"with an id that is none":     {"id: 1\x00\ndata: a\n\n", []event{{data: []byte("a")}}},
		"with a time to wait":         {"retry: 250\ndata: a\n\n", []event{{data: []byte("a"), retry: 250 * time.Millisecond}}},
		"with a time that is none":    {"retry: -1\nretry: soon\ndata: a\n\n", []event{{data: []byte("a")}}},
		"with fields nobody knows":    {"colour: red\ndata: a\n\n", []event{{data: []byte("a")}}},
		"without the end of the last": {"data: a\n\ndata: b", []event{{data: []byte("a")}, {data: []byte("b")}}},
	} {
		t.Run(name, func(t *testing.T) {
			want := test.want
			for i := range want {
				if want[i].data == nil {
					want[i].data = []byte{}
				}
			}
			for _, r := range []io.Reader{strings.NewReader(test.stream), iotest.OneByteReader(strings.NewReader(test.stream))} {
				got := eventsOf(t, r)
				for i := range got {
					if got[i].data == nil {
						got[i].data = []byte{}
					}
				}
				assert.Equal(t, want, got)
			}
		})
	}
}

func TestAnEventHasALargestSize(t *testing.T) {
	for name, stream := range map[string]io.Reader{
		"in one line": io.MultiReader(strings.NewReader("data: "), io.LimitReader(endless{}, maxMessage)),
		"in many":     strings.NewReader(strings.Repeat("data: "+strings.Repeat("x", 1<<20)+"\n", maxMessage>>20)),
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorIs(t, readEvents(stream, func(event) bool { return true }), errTooLarge)
		})
	}
}

func TestABrokenStreamIsAnError(t *testing.T) {
	assert.ErrorIs(t, readEvents(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("data: a\n\n"))), func(event) bool { return true }), iotest.ErrTimeout)
}

// However a stream is cut into reads, it says the same.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: message\r\nid: 1\ndata: {}\n\n: c\rdata\r\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole := eventsOf(t, bytes.NewReader(stream))
		assert.Equal(t, whole, eventsOf(t, iotest.OneByteReader(bytes.NewReader(stream))))
		for _, e := range whole {
			assert.NotContains(t, string(e.data), "\r")
		}
	})
}
