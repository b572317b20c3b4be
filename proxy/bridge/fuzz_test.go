package bridge

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
)

// Whatever a server sends, an editor gets whole messages, one a line, and each call of its
// own answered once at most.
func FuzzWhatAServerSends(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":7,"result":{}}`, `[{"jsonrpc":"2.0","id":7,"result":{}},{"jsonrpc":"2.0","id":7,"result":1}]`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}`, `{"jsonrpc":"2.0","id":1,"method":"roots/list"}`,
		"{\n\"jsonrpc\":\"2.0\",\r\n\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}", `{"jsonrpc":"2.0","id":7,"error":{}}`,
		`{"jsonrpc":"2.0","id":7.5,"result":{}}`, `{"jsonrpc":"2.0","id":7,"method":""}`, `[[]]`, `null`, `{"jsonrpc":"2.0","id":7}{"jsonrpc":"2.0","id":8}`,
	} {
		f.Add([]byte(seed))
	}
	targets, err := relay.ParseTargets([]string{"acme=https://acme.example"})
	require.NoError(f, err)
	asked, err := parse([]byte(aCall))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, sent []byte) {
		var got []string
		s := New(Options{Target: targets[0], Sender: relay.NewSender(nil, nil, targets), Write: func(m []byte) error {
			got = append(got, string(m))
			return nil
		}})
		c, fault := s.begin(asked)
		require.Nil(t, fault)
		s.receive(s.current(), sent, c)
		s.Close()
		answers := 0
		for _, line := range got {
			assert.NotContains(t, line, "\n")
			assert.NotContains(t, line, "\r")
			m, err := parse([]byte(line))
			require.NoError(t, err, line)
			require.True(t, json.Valid([]byte(line)))
			if m.isResponse() {
				answers++
				assert.Equal(t, asked.id, m.id)
			}
		}
		assert.LessOrEqual(t, answers, 1)
	})
}
