package identity_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/berth-mcp/berth/server/identity"
)

// A handler behind Require knows its caller.
func ExampleRequire() {
	verifier, err := identity.New(identity.Options{Mode: identity.ModeDev, Getenv: func(string) string { return "" }})
	if err != nil {
		panic(err)
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := identity.FromContext(r.Context())
		fmt.Fprintf(w, "hello %s, known by mode %s", caller.Email, caller.Mode)
	})
	answer := httptest.NewRecorder()
	identity.Require(verifier, slog.New(slog.DiscardHandler), hello).
		ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(answer.Body)
	// Output: hello dev@localhost, known by mode dev
}

// Without a mode that can be trusted where the server runs, there is no verifier.
func ExampleNew() {
	_, err := identity.New(identity.Options{Getenv: func(string) string { return "" }})
	fmt.Println(err)
	// Output: "" is no way of knowing the caller: set one of cloudrun, dev, oidc
}
