package apis

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// restOnly is an API that Google publishes no protos of.
type restOnly interface {
	// routes are its methods. No two APIs have a path in common.
	routes() []restRoute
	// admit decides whether the caller may use the API at all.
	admit(r *http.Request) error
}

// restRoute is a method of such an API.
type restRoute struct {
	method  string
	pattern string // "v1/groups/*/memberships"
	verb    string // what follows a colon at the end, or ""
	handle  func(restCall) (answer any, err error)
}

// restCall is one request.
type restCall struct {
	*http.Request
	names []string // what the pattern's stars stand for
	query url.Values
	body  []byte
}

// route finds the method that a request is for.
func route(all []restOnly, r *http.Request) (restOnly, restRoute, []string) {
	path, verb := strings.TrimPrefix(r.URL.Path, "/"), ""
	if i := strings.LastIndexByte(path, ':'); i > strings.LastIndexByte(path, '/') {
		path, verb = path[:i], path[i+1:]
	}
	for _, api := range all {
		for _, candidate := range api.routes() {
			if names, ok := match(candidate.pattern, path); ok && candidate.verb == verb && candidate.method == r.Method {
				return api, candidate, names
			}
		}
	}
	return nil, restRoute{}, nil
}

// serve answers a request that a route was found for.
func (m restRoute) serve(api restOnly, w http.ResponseWriter, r *http.Request, names []string) {
	answer, err := m.answer(api, w, r, names)
	if err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(answer) // the caller may have gone
}

func (m restRoute) answer(api restOnly, w http.ResponseWriter, r *http.Request, names []string) (any, error) {
	if err := api.admit(r); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessageBytes))
	if err != nil {
		return nil, bodyError(err)
	}
	return m.handle(restCall{Request: r, names: names, query: r.URL.Query(), body: body})
}

// decode reads the body. Names that into does not have are errors.
func (c restCall) decode(into any) error {
	decoder := json.NewDecoder(bytes.NewReader(c.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return status.Errorf(codes.InvalidArgument, "%s %s.", badJSON, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
