package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/proxy/relay"
)

const aCall = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{}}}`

func TestAnAnswerComesInWhicheverFormTheServerHas(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, seen)
		want   []string
	}{
		"in JSON": {func(w http.ResponseWriter, _ *http.Request, got seen) { reply(w, got, `"result":{"a":"é"}`) },
			[]string{`{"jsonrpc":"2.0","id":7,"result":{"a":"é"}}`}},
		"in JSON of many lines": {func(w http.ResponseWriter, _ *http.Request, got seen) {
			reply(w, got, "\n  \"result\": {\r\n \"a\": \"b\\n\"}\n")
		}, []string{`{"jsonrpc":"2.0","id":7,"result":{"a":"b\n"}}`}},
		"in a batch": {func(w http.ResponseWriter, _ *http.Request, got seen) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = io.WriteString(w, `[{"jsonrpc":"2.0","method":"notifications/message"}, {"jsonrpc":"2.0","id":7,"result":{}}]`)
		}, []string{`{"jsonrpc":"2.0","method":"notifications/message"}`, `{"jsonrpc":"2.0","id":7,"result":{}}`}},
		"in a stream": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			stream(w, ": hello", "id: 1\ndata:", `data: {"jsonrpc":"2.0","method":"notifications/progress"}`,
				"event: message\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":7,\"result\":{}}")
		}, []string{`{"jsonrpc":"2.0","method":"notifications/progress"}`, `{"jsonrpc":"2.0","id":7,"result":{}}`}},
		"in a stream that does not end its last event": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}")
		}, []string{`{"jsonrpc":"2.0","id":7,"result":{}}`}},
		"as an error with a status": {func(w http.ResponseWriter, _ *http.Request, got seen) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no such <method>","data":{"x":1}}}`)
		}, []string{`{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no such <method>","data":{"x":1}}}`}},
		"as an error without an id": {func(w http.ResponseWriter, _ *http.Request, got seen) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}`)
		}, []string{`{"jsonrpc":"2.0","id":7,"error":{"code":-32700,"message":"what?"}}`}},
		"after what nobody asked for": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			stream(w, `data: {"jsonrpc":"2.0","id":8,"result":{}}`, "data: nonsense", `data: {"jsonrpc":"2.0","id":7,"result":{}}`, `data: {"jsonrpc":"2.0","id":7,"result":{"again":1}}`)
		}, []string{`{"jsonrpc":"2.0","id":7,"result":{}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newScript(t, answers{"tools/call": test.answer})
			e := r.raw(t)
			e.write(aCall)
			for _, want := range test.want {
				assert.JSONEq(t, want, e.read())
			}
			e.write(`{"jsonrpc":"2.0","id":"next","method":"ping"}`)
			assert.JSONEq(t, `{"jsonrpc":"2.0","id":"next","result":{}}`, e.read(), "and nothing before it")
		})
	}
}

func TestWhatComesOfACallWithoutAnAnswerIsToldInWords(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request, seen)
		code   int
		says   string
	}{
		"the platform refuses the account": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusForbidden)
		}, relay.CodeNoAccess, "ada@example.com may not use acme"},
		"the server refuses it itself": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			http.Error(w, "say who you are\nand more", http.StatusUnauthorized)
		}, CodeRefused, "401 Unauthorized: say who you are): it may want a login of its own"},
		"the stream ends": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			stream(w, `data: {"jsonrpc":"2.0","method":"notifications/x"}`)
		}, relay.CodeUnreachable, "was sent, but no answer came"},
		"the connection breaks": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			stream(w, `data: {"jsonrpc":"2.0","method":"notifications/x"}`)
			panic(http.ErrAbortHandler)
		}, relay.CodeUnreachable, "was sent, but no answer came"},
		"it is accepted, and that is all": {func(w http.ResponseWriter, _ *http.Request, _ seen) {
			w.WriteHeader(http.StatusAccepted)
		}, relay.CodeUnreachable, "status 202"},
		"the answer is too large": {func(w http.ResponseWriter, _ *http.Request, got seen) {
			reply(w, got, `"result":"`+strings.Repeat("x", maxMessage)+`"`)
		}, relay.CodeTooLarge, "the answer of acme is larger than 32 MiB"},
		"the answer in a stream is too large": {func(w http.ResponseWriter, _ *http.Request, got seen) {
			stream(w, `data: {"jsonrpc":"2.0","id":7,"result":"`+strings.Repeat("x", maxMessage)+`"}`)
		}, relay.CodeTooLarge, "the answer of acme is larger than 32 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newScript(t, answers{"tools/call": test.answer})
			e := r.raw(t)
			e.write(aCall)
			line := e.read()
			if strings.Contains(line, "notifications/x") {
				line = e.read()
			}
			var answer struct {
				ID    int
				Error struct {
					Code    int
					Message string
				}
			}
			require.NoError(t, json.Unmarshal([]byte(line), &answer))
			assert.Equal(t, 7, answer.ID)
			assert.Equal(t, test.code, answer.Error.Code)
			assert.Contains(t, answer.Error.Message, test.says)
			assert.NotContains(t, answer.Error.Message, "and more")
		})
	}
}

func TestBadMessagesAreAnsweredAndHurtNoOthers(t *testing.T) {
	r, s := newScript(t, nil)
	e := r.raw(t)
	for _, test := range []struct{ line, want string }{
		{"{", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"this is not JSON: send one JSON-RPC message"}}`},
		{"[1,", `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"this is not JSON: send one JSON-RPC message"}}`},
		{aCall + aCall, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"this is not JSON: send one JSON-RPC message"}}`},
		{`{"id":1}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this is not a message of JSON-RPC 2.0"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":""}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"this is not a message of JSON-RPC 2.0"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"x","params":"` + strings.Repeat("x", maxMessage) + `"}`,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32015,"message":"the message to acme is larger than 32 MiB, which is what Cloud Run takes: send less at once"}}`},
		{"\r\n\n  \n" + `{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\r", `{"jsonrpc":"2.0","id":2,"result":{}}`},
	} {
		e.write(test.line)
		assert.JSONEq(t, test.want, e.read())
	}
	assert.Len(t, s.requests("ping"), 1)
	assert.Empty(t, s.requests("x"))
}

func TestABatchIsTakenApart(t *testing.T) {
	r, s := newScript(t, nil)
	e := r.raw(t)
	e.write(`[{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`)
	assert.ElementsMatch(t, []string{`{"jsonrpc":"2.0","id":1,"result":{}}`, `{"jsonrpc":"2.0","id":2,"result":{}}`}, []string{e.read(), e.read()})
	assert.Len(t, s.requests("notifications/x"), 1)
}

func TestAnIDIsOfOneCallAtATime(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	r, _ := newScript(t, answers{"tools/call": func(w http.ResponseWriter, _ *http.Request, got seen) {
		close(arrived)
		<-goOn
		reply(w, got, `"result":{}`)
	}})
	e := r.raw(t)
	e.write(aCall)
	within(t, arrived, "the call")
	e.write(aCall)
	assert.Contains(t, e.read(), "a call with this id is under way")
	close(goOn)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, e.read())
}

func TestTooManyCallsAtOnceAreRefusedAndTheRestGoOn(t *testing.T) {
	goOn := make(chan struct{})
	r, s := newScript(t, answers{"ping": func(w http.ResponseWriter, _ *http.Request, got seen) {
		<-goOn
		reply(w, got, `"result":{}`)
	}})
	e := r.raw(t)
	for i := range maxCalls + 1 {
		e.write(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i))
	}
	assert.Contains(t, e.read(), fmt.Sprintf(`"id":%d,"error":{"code":%d,`, maxCalls, CodeBusy))
	close(goOn)
	for range maxCalls {
		assert.Contains(t, e.read(), `"result":{}`)
	}
	assert.Len(t, s.requests("ping"), maxCalls)
}

func TestCallsAreAnsweredAfterTheEditorHasClosedItsEnd(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	r, _ := newScript(t, answers{
		"tools/call": func(w http.ResponseWriter, _ *http.Request, got seen) {
			close(arrived)
			<-goOn
			reply(w, got, `"result":{}`)
		},
		methodListen: func(w http.ResponseWriter, r *http.Request, _ seen) {
			stream(w, ": open")
			<-r.Context().Done() // has no end of its own
		},
	})
	e := r.raw(t)
	e.write(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`)
	_, err := io.WriteString(e.in, aCall) // without the end of its line
	require.NoError(t, err)
	require.NoError(t, e.in.Close())
	within(t, arrived, "the call")
	close(goOn)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, e.read())
	assert.NoError(t, within(t, e.ended, "the end of the bridge"))
}

func TestTheServersQuestionsAreRefusedWhenNobodyCanAnswer(t *testing.T) {
	answered := make(chan string, 1)
	r, _ := newScript(t, answers{
		"tools/call": func(w http.ResponseWriter, _ *http.Request, got seen) {
			stream(w, `data: {"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`)
			answered <- <-answered // not before the question has been refused
			stream(w, `data: {"jsonrpc":"2.0","id":7,"result":{}}`)
		},
		"": func(w http.ResponseWriter, _ *http.Request, got seen) {
			answered <- got.body
			w.WriteHeader(http.StatusAccepted)
		},
	})
	e := r.raw(t)
	e.write(aCall)
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}`, e.read())
	require.NoError(t, e.in.Close())
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":{}}`, e.read())
	require.NoError(t, within(t, e.ended, "the end of the bridge"))
	assert.JSONEq(t, `{"jsonrpc":"2.0","id":"q","error":{"code":-32000,"message":"the client has gone, or has too much to answer"}}`, <-answered)
}

func TestASignalEndsCallsThatTakeTooLong(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	r, _ := newScript(t, answers{"tools/call": func(_ http.ResponseWriter, r *http.Request, _ seen) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	}})
	in, inW := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Stdio(ctx, in, io.Discard, Options{Target: r.target, Sender: r.sender, Logger: r.log})
	}()
	_, err := io.WriteString(inW, aCall+"\n")
	require.NoError(t, err)
	within(t, arrived, "the call")
	stop()
	require.NoError(t, within(t, ended, "the end of the bridge"), "although standard input stays open")
	within(t, left, "the server's notice")
	require.NoError(t, inW.Close())
}

func TestASignalEndsTheBridgeAlthoughTheEditorDoesNotRead(t *testing.T) {
	r, s := newScript(t, nil)
	in, inW := io.Pipe()
	outR, out := io.Pipe() // of which nothing is read
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Stdio(ctx, in, out, Options{Target: r.target, Sender: r.sender, Logger: r.log})
	}()
	_, err := io.WriteString(inW, aCall+"\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.requests("tools/call")) > 0 }, deadline, time.Millisecond)
	stop()
	require.NoError(t, within(t, ended, "the end of the bridge"))
	require.NoError(t, outR.Close())
	require.NoError(t, inW.Close())
}

func TestAnEditorThatDoesNotReadAnyMoreEndsTheBridge(t *testing.T) {
	r, _ := newScript(t, nil)
	in, inW := io.Pipe()
	outR, out := io.Pipe()
	require.NoError(t, outR.Close())
	ended := make(chan error, 1)
	go func() {
		ended <- Stdio(t.Context(), in, out, Options{Target: r.target, Sender: r.sender, Logger: r.log})
	}()
	_, err := io.WriteString(inW, aCall+"\n")
	require.NoError(t, err)
	assert.ErrorContains(t, within(t, ended, "the end of the bridge"), "does not read standard output")
	require.NoError(t, inW.Close())
}

// No message may reach the server before it has taken those that it depends on.
func TestMessagesKeepTheOrderThatMatters(t *testing.T) {
	written := make(chan struct{})
	r, s := newScript(t, answers{
		"initialize": func(w http.ResponseWriter, _ *http.Request, got seen) {
			<-written // what might overtake it is there
			w.Header().Set("Mcp-Session-Id", "s1")
			reply(w, got, `"result":{"protocolVersion":"2025-06-18"}`)
		},
	})
	e := r.raw(t)
	e.write(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}`)
	e.write(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	e.write(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	close(written)
	assert.Contains(t, e.read(), `"id":0`)
	assert.Contains(t, e.read(), `"id":1`)
	require.NoError(t, e.in.Close())
	require.NoError(t, within(t, e.ended, "the end of the bridge"))

	var order []string
	for _, got := range s.all() {
		if got.method == http.MethodPost {
			order = append(order, got.rpc.Method+" "+got.header.Get("Mcp-Session-Id")+" "+got.header.Get("Mcp-Protocol-Version"))
		}
	}
	assert.Equal(t, []string{"initialize  ", "notifications/initialized s1 2025-06-18", "tools/list s1 2025-06-18"}, order)
	if assert.Len(t, s.requests(http.MethodDelete), 1, "the server is told that the session is over") {
		assert.Equal(t, "s1", s.requests(http.MethodDelete)[0].header.Get("Mcp-Session-Id"))
	}
}
