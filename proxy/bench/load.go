package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An editor is a client with so many connections.
func editor(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, DisableCompression: true,
	}}
}

func post(ctx context.Context, url string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(call))
	if err == nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
	}
	return r, err
}

// body posts a call and returns the answer.
func body(ctx context.Context, client *http.Client, url string, into *bytes.Buffer) error {
	r, err := post(ctx, url)
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	into.Reset()
	if _, err := into.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, into)
	}
	return nil
}

// eachWorker runs work at once on so many workers and returns the first error.
func eachWorker(n int, work func() error) error {
	var group sync.WaitGroup
	failed := make(chan error, n)
	for range n {
		group.Go(func() {
			if err := work(); err != nil {
				failed <- err
			}
		})
	}
	group.Wait()
	close(failed)
	return <-failed
}

// isBroken reports whether an answer ended too early. Plain proxies break streams, which
// [broken] counts; other measurements do without such an answer.
func isBroken(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }

// load keeps connections busy with calls, and returns requests per second, the median and
// the 99th percentile of their duration in milliseconds, and the contender's own CPU time
// per request in microseconds.
func load(path, want string, connections int) measurement {
	return func(ctx context.Context, c *contender, p plan) ([]float64, error) {
		client := editor(connections)
		defer client.CloseIdleConnections()
		var mu sync.Mutex
		var all []time.Duration
		cpu, start := c.cpu(), time.Now()
		err := eachWorker(connections, func() error {
			var mine []time.Duration
			var got bytes.Buffer
			for began := time.Now(); time.Since(start) < p.load; began = time.Now() {
				if err := body(ctx, client, c.url+path, &got); err != nil {
					if isBroken(err) {
						continue
					}
					return err
				}
				if got.String() != want {
					return fmt.Errorf("an answer that is not the server's: %q", got.String())
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
			return nil
		})
		if err != nil || len(all) == 0 {
			return nil, errors.Join(err, ctx.Err())
		}
		n, took := float64(len(all)), time.Since(start).Seconds()
		slices.Sort(all)
		milliseconds := func(q float64) float64 { return all[int(q*(n-1))].Seconds() * 1e3 }
		return []float64{n / took, milliseconds(0.5), milliseconds(0.99), (c.cpu() - cpu) / n * 1e6}, nil
	}
}

// firstEvent returns the median time to the first byte of an event stream, in
// microseconds, one stream at a time.
func firstEvent(ctx context.Context, c *contender, p plan) ([]float64, error) {
	client := editor(1)
	defer client.CloseIdleConnections()
	var all []float64
	for range p.firsts {
		r, err := post(ctx, c.url+"/events?1")
		if err != nil {
			return nil, err
		}
		start := time.Now()
		resp, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		_, err = io.ReadFull(resp.Body, make([]byte, 1))
		took := time.Since(start).Seconds() * 1e6
		_, _ = io.Copy(io.Discard, resp.Body) // whether it is whole is seen elsewhere
		_ = resp.Body.Close()
		if isBroken(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	if len(all) == 0 {
		return nil, errors.New("no stream had a first event")
	}
	return []float64{median(all)}, nil
}

const streamsAtOnce = 8

// events returns how many events pass per second, on eight streams at once.
func events(ctx context.Context, c *contender, p plan) ([]float64, error) {
	client := editor(streamsAtOnce)
	defer client.CloseIdleConnections()
	var size atomic.Int64
	start := time.Now()
	err := eachWorker(streamsAtOnce, func() error {
		r, err := post(ctx, fmt.Sprintf("%s/events?%d", c.url, p.events))
		if err != nil {
			return err
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		size.Add(n)
		if isBroken(err) {
			return nil
		}
		return err
	})
	return []float64{float64(size.Load()) / float64(len(event)) / time.Since(start).Seconds()}, err
}

const shortStreamsAtOnce = 16

// broken returns how many short streams do not arrive whole.
func broken(ctx context.Context, c *contender, p plan) ([]float64, error) {
	client := editor(shortStreamsAtOnce)
	defer client.CloseIdleConnections()
	want := strings.Repeat(event, 5)
	var begun, failed atomic.Int64
	err := eachWorker(shortStreamsAtOnce, func() error {
		var got bytes.Buffer
		for begun.Add(1) <= int64(p.short) {
			if err := body(ctx, client, c.url+"/events?5", &got); err != nil || got.String() != want {
				failed.Add(1)
			}
		}
		return ctx.Err()
	})
	return []float64{float64(failed.Load())}, err
}

// startUp returns how long a new process takes to its first answer, in milliseconds, and
// how much memory it then needs for each idle stream.
func startUp(ctx context.Context, c *contender, p plan) ([]float64, error) {
	began := time.Now()
	fresh, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	if err := answers(ctx, fresh.url+"/json"); err != nil {
		return nil, err
	}
	took := time.Since(began).Seconds() * 1e3
	memory, err := perIdleStream(ctx, fresh, p)
	return []float64{took, memory}, err
}

// idleFromHTTP2 returns the memory for each idle stream that comes from the server by HTTP/2
// over TLS, as from Cloud Run, in KiB; NaN for a contender that does not speak it.
func idleFromHTTP2(ctx context.Context, c *contender, p plan) ([]float64, error) {
	if c.startSecure == nil {
		return []float64{math.NaN()}, nil
	}
	fresh, err := c.startSecure(ctx)
	if err != nil {
		return nil, err
	}
	defer fresh.stop()
	if err := answers(ctx, fresh.url+"/json"); err != nil {
		return nil, err
	}
	memory, err := perIdleStream(ctx, fresh, p)
	return []float64{memory}, err
}

// perIdleStream returns how much memory a process needs for each stream that is open and
// idle, in KiB.
func perIdleStream(ctx context.Context, fresh *running, p plan) (float64, error) {
	client := editor(p.idle)
	before := fresh.memory()
	ctx, cancel := context.WithCancel(ctx)
	defer client.CloseIdleConnections()
	defer cancel()
	for range p.idle {
		// The stream that a client keeps open for what its server has to say.
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fresh.url+"/idle", nil)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Accept", "text/event-stream")
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if _, err := io.ReadFull(resp.Body, make([]byte, len(event))); err != nil {
			return 0, err
		}
	}
	time.Sleep(p.settling)
	return (fresh.memory() - before) / float64(p.idle), nil
}
