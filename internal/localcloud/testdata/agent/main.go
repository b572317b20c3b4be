// Agent is a service that calls others with the identity that its instance has,
// by Google's own libraries and with nothing configured but addresses.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"cloud.google.com/go/auth/credentials/idtoken"
	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
)

func main() {
	http.HandleFunc("/call", call)
	http.HandleFunc("/object", object)
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("GREETING")) })
	log.Fatal(http.ListenAndServe(net.JoinHostPort(os.Getenv("BERTH_LISTEN"), os.Getenv("PORT")), nil))
}

// call passes on what the service at ?url= answers to a token for ?audience=.
func call(w http.ResponseWriter, r *http.Request) {
	creds, err := idtoken.NewCredentials(&idtoken.Options{Audience: r.FormValue("audience")})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	token, err := creds.Token(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.FormValue("url"), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req.Header.Set("Authorization", "Bearer "+token.Value)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// object writes an object of ?bucket= and reads it again.
func object(w http.ResponseWriter, r *http.Request) {
	client, err := storage.NewClient(r.Context(), option.WithEndpoint(os.Getenv("BERTH_STORAGE_ENDPOINT")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer client.Close()
	object := client.Bucket(r.FormValue("bucket")).Object("goals")
	writer := object.NewWriter(r.Context())
	_, err = io.WriteString(writer, "written by "+os.Getenv("K_SERVICE"))
	if err = errors.Join(err, writer.Close()); err == nil {
		var reader *storage.Reader
		if reader, err = object.NewReader(r.Context()); err == nil {
			defer reader.Close()
			_, _ = io.Copy(w, reader)
			return
		}
	}
	code := http.StatusInternalServerError
	if refused := (*googleapi.Error)(nil); errors.As(err, &refused) {
		code = refused.Code
	}
	http.Error(w, err.Error(), code)
}
