package apis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"connectrpc.com/vanguard"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/code"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// maxMessageBytes bounds a request, in any encoding. A service with a thousand
// long variables is far below it.
const maxMessageBytes = 4 << 20

// sharedRules are the REST paths that the protos of services which several
// APIs use leave to these.
var sharedRules = []*annotations.HttpRule{{
	// What IAM's own proto asks for by POST, Cloud KMS is asked for by GET too.
	Selector: "google.iam.v1.IAMPolicy.GetIamPolicy",
	Pattern:  &annotations.HttpRule_Get{Get: "/v1/{resource=projects/*/locations/*/keyRings/*/cryptoKeys/*}:getIamPolicy"},
}, {
	Selector: "google.longrunning.Operations.GetOperation",
	Pattern:  &annotations.HttpRule_Get{Get: "/v2/{name=projects/*/locations/*/operations/*}"},
	AdditionalBindings: []*annotations.HttpRule{
		{Pattern: &annotations.HttpRule_Get{Get: "/v1/{name=projects/*/locations/*/operations/*}"}},
	},
}, {
	Selector: "google.longrunning.Operations.ListOperations",
	Pattern:  &annotations.HttpRule_Get{Get: "/v2/{name=projects/*/locations/*}/operations"},
}, {
	Selector: "google.longrunning.Operations.WaitOperation",
	Pattern:  &annotations.HttpRule_Post{Post: "/v2/{name=projects/*/locations/*/operations/*}:wait"},
	Body:     "*",
}}

// newHandler serves gRPC as it comes and translates REST to it by the HTTP
// annotations of the protos.
func newHandler(server *grpc.Server, access *access, others []restOnly) (http.Handler, error) {
	// Two of its paths are IAM's too: Google has the two at different hosts. Here
	// it gets what IAM does not take.
	tokenService := credentialspb.IAMCredentials_ServiceDesc.ServiceName
	tokens, err := newTranscoder(server, []string{tokenService}, http.HandlerFunc(noRoute))
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range server.GetServiceInfo() {
		if name != tokenService {
			names = append(names, name)
		}
	}
	transcoder, err := newTranscoder(server, names, tokens, vanguard.WithRules(sharedRules...))
	if err != nil {
		return nil, err
	}
	rest := &restFront{others: others, transcoder: transcoder}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = access.identify(r)
		if isGRPC(r) {
			server.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	}), nil
}

// newTranscoder translates REST to some services, and leaves other paths to
// another handler.
func newTranscoder(server *grpc.Server, names []string, others http.Handler, options ...vanguard.TranscoderOption) (http.Handler, error) {
	var services []*vanguard.Service
	for _, name := range names {
		services = append(services, vanguard.NewService(name, server))
	}
	return vanguard.NewTranscoder(services, append(options,
		vanguard.WithDefaultServiceOptions(
			vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
			vanguard.WithTargetCodecs(vanguard.CodecProto),
			vanguard.WithMaxMessageBufferBytes(maxMessageBytes),
		),
		vanguard.WithCodec(newJSONCodec),
		vanguard.WithUnknownHandler(others),
	)...)
}

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// restFront does what Google's front end does before and after an API:
// authentication, system parameters, a bound on the body, the shape of errors.
type restFront struct {
	others     []restOnly
	transcoder http.Handler
}

func (f *restFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := callerOf(r.Context()).err; err != nil {
		writeError(w, err)
		return
	}
	if api, method, names := route(f.others, r); api != nil {
		method.serve(api, w, r, names)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessageBytes))
	if err != nil {
		writeError(w, bodyError(err))
		return
	}
	// An empty object says nothing, and Google takes it where no body belongs.
	if bytes.Equal(bytes.TrimSpace(body), []byte("{}")) {
		body = nil
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	dropSystemParameters(r.URL)
	// The transcoder takes escapes away itself. A slash in a name must still be one.
	r.URL.Path = r.URL.EscapedPath()
	if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/json") {
		r.Header.Set("Content-Type", "application/json")
	}
	held := &errorWriter{ResponseWriter: w}
	f.transcoder.ServeHTTP(held, r)
	held.finish()
}

func bodyError(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return status.Errorf(codes.InvalidArgument, "Request payload size exceeds the limit: %d bytes.", maxMessageBytes)
	}
	return status.Errorf(codes.InvalidArgument, "reading the request's body: %v", err)
}

// systemParameters are those of https://cloud.google.com/apis/docs/system-parameters;
// they may come with a dollar sign. None changes what an answer means.
var systemParameters = []string{
	"access_token", "alt", "callback", "fields", "key", "oauth_token",
	"prettyPrint", "quotaUser", "uploadType", "upload_protocol", "userProject",
}

func dropSystemParameters(u *url.URL) {
	if u.RawQuery == "" {
		return
	}
	query := u.Query()
	for _, name := range systemParameters {
		query.Del(name)
		query.Del("$" + name)
	}
	query.Del("$.xgafv")
	u.RawQuery = query.Encode()
}

// errorWriter lets good answers through and holds bad ones back, to write them
// in Google's shape.
type errorWriter struct {
	http.ResponseWriter
	code int // of a bad answer, else zero
	body []byte
}

func (w *errorWriter) WriteHeader(code int) {
	if code < http.StatusBadRequest {
		w.ResponseWriter.WriteHeader(code)
		return
	}
	w.code = code
}

func (w *errorWriter) Write(p []byte) (int, error) {
	if w.code == 0 {
		return w.ResponseWriter.Write(p)
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// Flush implements [http.Flusher], which the transcoder needs.
func (w *errorWriter) Flush() {
	if flusher, ok := w.ResponseWriter.(http.Flusher); ok && w.code == 0 {
		flusher.Flush()
	}
}

func (w *errorWriter) finish() {
	if w.code == 0 {
		return
	}
	for _, header := range []string{"Content-Length", "Content-Encoding", "X-Content-Type-Options"} {
		w.Header().Del(header)
	}
	problem := &spb.Status{}
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
	if err := lenient.Unmarshal(w.body, problem); err != nil || problem.GetCode() == 0 {
		problem = &spb.Status{Code: int32(codeOf(w.code)), Message: strings.TrimSpace(string(w.body))}
	}
	// Every method here answers with a code of its own. What has none is the
	// transcoder's complaint about the request.
	if codes.Code(problem.GetCode()) == codes.Unknown {
		problem.Code = int32(codes.InvalidArgument)
	}
	writeError(w.ResponseWriter, status.ErrorProto(problem))
}

// errorBody is Google's: the HTTP status, and the gRPC code by its name.
type errorBody struct {
	Code    int               `json:"code"`
	Message string            `json:"message"`
	Status  string            `json:"status"`
	Details []json.RawMessage `json:"details,omitempty"`
}

func writeError(w http.ResponseWriter, err error) {
	s := status.Convert(err)
	body := errorBody{
		Code:    httpStatus(s.Code()),
		Message: s.Message(),
		Status:  code.Code(s.Code()).String(),
	}
	for _, detail := range s.Proto().GetDetails() {
		if text, err := protojson.Marshal(detail); err == nil {
			body.Details = append(body.Details, text)
		}
	}
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=UTF-8")
	if body.Code == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/"`)
	}
	w.WriteHeader(body.Code)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(map[string]errorBody{"error": body}) // the caller may have gone
}

// httpStatuses is the mapping that google.rpc.Code documents.
var httpStatuses = map[codes.Code]int{
	codes.OK:                 http.StatusOK,
	codes.Canceled:           499,
	codes.Unknown:            http.StatusInternalServerError,
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.DeadlineExceeded:   http.StatusGatewayTimeout,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.Aborted:            http.StatusConflict,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.Unimplemented:      http.StatusNotImplemented,
	codes.Internal:           http.StatusInternalServerError,
	codes.Unavailable:        http.StatusServiceUnavailable,
	codes.DataLoss:           http.StatusInternalServerError,
	codes.Unauthenticated:    http.StatusUnauthorized,
}

func httpStatus(c codes.Code) int {
	if s, ok := httpStatuses[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// codeOf names the answers that the transcoder gives with no status of gRPC.
func codeOf(httpCode int) codes.Code {
	switch httpCode {
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return codes.Unimplemented
	case http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusBadRequest:
		return codes.InvalidArgument
	default:
		return codes.Internal
	}
}

// noRoute is for a path that no API has.
func noRoute(w http.ResponseWriter, r *http.Request) {
	http.Error(w, fmt.Sprintf("the local cloud has no %s %s", r.Method, r.URL.Path), http.StatusNotFound)
}
