// Program is what the tests run as a container. By default it is a web server
// at PORT that ends on SIGTERM; MODE makes it misbehave.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	fmt.Println("program started with", strings.Join(os.Args[1:], " "))
	switch os.Getenv("MODE") {
	case "exit":
		fmt.Fprintln(os.Stderr, "the reason why I end")
		os.Exit(3)
	case "deaf":
		fmt.Println("I do not listen")
		time.Sleep(time.Hour)
	case "parent":
		self, err := os.Executable()
		if err != nil {
			log.Fatal(err)
		}
		child := exec.Command(self)
		child.Env = append(os.Environ(), "MODE=")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			log.Fatal(err)
		}
		fmt.Println("child", child.Process.Pid)
		_ = child.Wait()
		return
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if os.Getenv("MODE") == "stubborn" {
		signal.Ignore(syscall.SIGTERM)
	}
	port := os.Getenv("PORT")
	if len(os.Args) == 3 && os.Args[1] == "at" { // a sidecar's own
		port = os.Args[2]
	}
	server := &http.Server{Addr: net.JoinHostPort("127.0.0.1", port), Handler: handler()}
	go func() {
		<-ctx.Done()
		fmt.Println("got SIGTERM")
		shutdown, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(shutdown)
		os.Exit(0)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	select {} // until the shutdown is done
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if os.Getenv("LOG") != "" {
			fmt.Println(r.Method, r.RequestURI)
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-From-Instance", "yes")
		dir, _ := os.Getwd()
		_ = json.NewEncoder(w).Encode(map[string]any{
			"pid": os.Getpid(), "args": os.Args[1:], "env": os.Environ(), "dir": dir,
			"method": r.Method, "uri": r.RequestURI, "host": r.Host, "proto": r.Proto, "header": r.Header, "body": string(body),
		})
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		fmt.Println("stream ended")
	})
	mux.HandleFunc("/die", func(http.ResponseWriter, *http.Request) { os.Exit(4) })
	mux.HandleFunc("/401", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="https://example.com"`)
		http.Error(w, "my own refusal", http.StatusUnauthorized)
	})
	return mux
}
