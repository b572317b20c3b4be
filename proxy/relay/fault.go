package relay

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/token"
)

// The codes of the JSON-RPC errors that the proxy itself gives. They are in the range
// that JSON-RPC leaves to implementations, away from -32000 to -32002, which SDKs use,
// and from -32020 on, which MCP has taken.
const (
	CodeMoved       = -32008 // the client has another server since
	CodeNoClient    = -32009 // the proxy does not serve the client (any more)
	CodeNoLogin     = -32010 // no token can be had
	CodeNotAccepted = -32011 // the platform does not accept the token (401)
	CodeNoAccess    = -32012 // the account may not use this client's server (403)
	CodeUnreachable = -32013 // no answer from the server
	CodeUnavailable = -32014 // the platform answered in the server's place (429, 5xx)
	CodeTooLarge    = -32015 // the request body is over the limit
	CodeWrongToken  = -32016 // the login is not one to be sent to this server
)

// A Fault is why a request got no answer of the server, as a sentence for the person at
// the editor.
type Fault struct {
	Code    int // of the JSON-RPC error
	Status  int // of the HTTP response, where that is what the client will see
	Message string

	broke bool // the connection, before there was an answer
}

// Error is the message as it may be shown: servers and token endpoints may have put
// anything into it.
func (f *Fault) Error() string { return plaintext.Line(f.Message) }

// Statuses for clients that see nothing but the status. None is 401 or 403, at which a
// client would start an OAuth login. 502 and 503 are taken as passing: the client tries
// again and keeps its session.
const (
	statusRefused     = http.StatusBadGateway
	statusUnreachable = http.StatusBadGateway
	statusNoToken     = http.StatusServiceUnavailable
)

// NotServed reports whether the target is not served (any more), so that nothing more may be
// sent to it.
func (f *Fault) NotServed() bool { return f.Code == CodeNoClient || f.Code == CodeMoved }

// moved is the fault for the former server of a client.
func moved(now Target) *Fault {
	return &Fault{Code: CodeMoved, Status: http.StatusServiceUnavailable,
		Message: fmt.Sprintf("%s has been replaced in this berth-proxy and is now at %s: connect the editor to it again", now.Name, now.URL())}
}

func noClient(name string, gone bool, served string) *Fault {
	why := "this berth-proxy has no client " + name
	if gone {
		why = name + " was removed from the clients of this berth-proxy"
	}
	return &Fault{Code: CodeNoClient, Status: http.StatusNotFound,
		Message: fmt.Sprintf("%s, which serves %s: add it with `berth-proxy add`, or take it out of the editor with `berth-proxy uninstall`", why, served)}
}

func noLogin(t Target, err error) *Fault {
	return &Fault{Code: CodeNoLogin, Status: statusNoToken, Message: fmt.Sprintf("cannot sign in to %s: %v", t.Name, err)}
}

func wrongToken(t Target, err error) *Fault {
	return &Fault{Code: CodeWrongToken, Status: statusNoToken, Message: fmt.Sprintf("cannot sign in to %s: %v", t.Name, err)}
}

func tooLarge(t Target) *Fault {
	return &Fault{Code: CodeTooLarge, Status: http.StatusRequestEntityTooLarge,
		Message: fmt.Sprintf("the request to %s is larger than %d MiB, which is what Cloud Run takes: send less at once", t.Name, maxBody>>20)}
}

// compressed is the fault for a stream in which an endpoint would not be seen.
func compressed(t Target) *Fault {
	return &Fault{Code: CodeUnavailable, Status: statusRefused,
		Message: fmt.Sprintf("the server of %s sends a compressed event stream, which it was asked not to: tell the people who run it", t.Name)}
}

// steeredBy is the fault for a document that checkDocument refuses.
func steeredBy(t Target, err error) *Fault {
	return &Fault{Code: CodeUnavailable, Status: statusRefused,
		Message: fmt.Sprintf("refused a document of the server of %s: %v: tell the people who run it", t.Name, err)}
}

// noOwnLogin is the fault for a request of a login that the server has not asked for: what
// sent the editor here was not this server.
func noOwnLogin(t Target) *Fault {
	return &Fault{Code: CodeUnavailable, Status: http.StatusNotFound,
		Message: fmt.Sprintf("refused an OAuth request to %s, whose server has not asked for a login of its own: connect the editor to it again; if it was logging in to another server, tell the people who run that one", t.Name)}
}

func unreachable(t Target, err error) *Fault {
	var certificate *tls.CertificateVerificationError
	remedy := "check the network and the URL"
	if errors.As(err, &certificate) {
		remedy += "; if your organisation inspects traffic, name its certificate authority with --ca-file"
	}
	if neverSent(err) {
		return &Fault{Code: CodeUnreachable, Status: statusUnreachable,
			Message: fmt.Sprintf("cannot reach %s at %s (%v): %s", t.Name, t.URL(), err, remedy)}
	}
	return &Fault{Code: CodeUnreachable, Status: statusUnreachable, broke: true,
		Message: fmt.Sprintf("the connection to %s at %s broke before there was an answer (%v): it may have taken effect all the same, so look before you try again", t.Name, t.URL(), err)}
}

// neverSent reports whether a request failed for want of a connection, and so had no effect.
func neverSent(err error) bool {
	var connecting *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &connecting) && (connecting.Op == "dial" || connecting.Op == opProxyConnect) ||
		errors.As(err, &certificate) ||
		errors.As(err, &record) && record.Conn != nil // that is, in the handshake
}

// opProxyConnect is what package http calls the way through a corporate proxy.
const opProxyConnect = "proxyconnect"

// byPlatform is the fault for an answer that fromPlatform.
func byPlatform(t Target, tok token.Token, status int) *Fault {
	switch status {
	case http.StatusUnauthorized:
		return &Fault{Code: CodeNotAccepted, Status: statusRefused,
			Message: fmt.Sprintf("Cloud Run does not accept the login of %s for %s: %s", tok.Account(), t.Name, t.howToBeAccepted(tok))}
	case http.StatusForbidden:
		return &Fault{Code: CodeNoAccess, Status: statusRefused,
			Message: fmt.Sprintf("%s may not use %s: %s, which takes some minutes to take effect; if that is the wrong account, run `gcloud auth application-default login` with the right one",
				tok.Account(), t.Name, t.howToGetAccess())}
	case http.StatusTooManyRequests:
		return &Fault{Code: CodeUnavailable, Status: status,
			Message: fmt.Sprintf("the server of %s cannot answer now (%d %s): try again in a minute", t.Name, status, http.StatusText(status))}
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return &Fault{Code: CodeUnavailable, Status: status,
			Message: fmt.Sprintf("the server of %s cannot answer now (%d %s): try again in a minute, but look first, as a call may have taken effect all the same", t.Name, status, http.StatusText(status))}
	case http.StatusGatewayTimeout:
		return &Fault{Code: CodeUnavailable, Status: status,
			Message: fmt.Sprintf("the server of %s took longer than Cloud Run lets it (%d %s): a call may take effect all the same, so look before you try again", t.Name, status, http.StatusText(status))}
	}
	return &Fault{Code: CodeUnavailable, Status: status,
		Message: fmt.Sprintf("the server of %s failed (%d %s): look whether a call took effect before you try again, and tell the people who run it if it stays so", t.Name, status, http.StatusText(status))}
}

// howToBeAccepted tells what to do about a token that is not accepted. A service account's
// is for one audience, which may not be one of the server's.
func (t Target) howToBeAccepted(tok token.Token) string {
	if tok.IsServiceAccount() {
		return fmt.Sprintf("its token was for the audience %q: if the service has custom audiences, give one of them as the client's audience", t.audience())
	}
	return "run `gcloud auth application-default login`, then try again"
}

// howToGetAccess names whom to ask, where that is known.
func (t Target) howToGetAccess() string {
	if t.AccessHint == "" {
		return "ask the people who run it to add you to its developers"
	}
	return "ask " + t.AccessHint + " for access"
}

// answer writes the fault in the way that its reader will show to a person.
//
// A client of Streamable HTTP, of any revision, shows the message of a JSON-RPC error
// that comes with status 200 as the answer to its call, and stays connected; of a 4xx or
// 5xx some show the status alone, and some take their session for lost. Such a client
// says that it accepts application/json. A client of the 2024-11-05 transport does not
// say so: it drops the body of a 200, would wait for the answer on its event stream for
// ever, and shows the body of an error status. What is not a call (GET, a notification,
// a body that cannot be read) has no id to answer to: it gets the status and the sentence.
func (f *Fault) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	reply := f.reply(body)
	if reply == nil {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprintln(w, f.Error()) // a client that has gone needs no answer
		return
	}
	status := f.Status
	// The body that was too large has not been read: its id is not known, and nobody
	// waits for an answer without one.
	if f.Code != CodeTooLarge && hasMediaType(r.Header.Values("Accept"), "application/json") {
		status = http.StatusOK
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(reply)
}

type rpcError struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Error   struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// reply is the JSON-RPC message, or the batch of them, that answers the calls in body; nil
// if there are none.
func (f *Fault) reply(body []byte) []byte {
	ids, batch := callIDs(body)
	if f.Code == CodeTooLarge {
		ids = []json.RawMessage{json.RawMessage("null")}
	}
	if len(ids) == 0 {
		return nil
	}
	errs := make([]rpcError, len(ids))
	for i, id := range ids {
		errs[i].Version, errs[i].ID = "2.0", id
		errs[i].Error.Code, errs[i].Error.Message = f.Code, f.Error()
	}
	var reply bytes.Buffer
	enc := json.NewEncoder(&reply)
	enc.SetEscapeHTML(false) // for whoever shows the raw answer
	var err error
	if batch {
		err = enc.Encode(errs)
	} else {
		err = enc.Encode(errs[0])
	}
	if err != nil {
		return nil // an id that does not encode did not decode
	}
	return reply.Bytes()
}
