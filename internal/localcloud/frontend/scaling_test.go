package frontend_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/run/apiv2/runpb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/berth-mcp/berth/internal/localcloud/frontend"
)

func kill(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
}

func has(instances []frontend.Instance, pid int) bool {
	return slices.ContainsFunc(instances, func(i frontend.Instance) bool { return i.PID == pid })
}

// scaled takes one request at a time, in so many instances.
func scaled(svc *runpb.Service, least, most int32) *runpb.Service {
	svc.Template.MaxInstanceRequestConcurrency = 1
	svc.Template.Scaling = &runpb.RevisionScaling{MinInstanceCount: least, MaxInstanceCount: most}
	return svc
}

// hold opens a stream, which occupies a place until it is let go.
func hold(t *testing.T, w *world, url string) (letGo func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	res, err := client.Do(request(t, url+"/stream", w.as("ana@example.com")).WithContext(ctx))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	return func() {
		cancel()
		_ = res.Body.Close()
	}
}

func TestAKilledInstanceIsReplacedAtTheNextRequest(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	for range 5 {
		pid := get(t, url+"/", w.as("ana@example.com")).seen(t).PID
		kill(t, pid)
		eventually(t, "the process is gone", func() bool { return !alive(pid) })
		assert.NotEqual(t, pid, get(t, url+"/", w.as("ana@example.com")).seen(t).PID)
	}
}

func TestAnIdleServiceScalesToZeroAndBack(t *testing.T) {
	w := newWorld(t, frontend.Options{IdleTimeout: 200 * time.Millisecond})
	url := w.deploy(w.service(acme), "acme-00001-abc")
	letGo := hold(t, w, url)
	require.Len(t, w.Instances(acme), 1)
	pid := w.Instances(acme)[0].PID
	never(t, "an instance with a request in flight is stopped", 400*time.Millisecond, func() bool { return !alive(pid) })
	letGo()
	eventually(t, "no instances", func() bool { return len(w.Instances(acme)) == 0 })
	eventually(t, "the process ends", func() bool { return !alive(pid) })
	eventually(t, "it was told", func() bool { return strings.Contains(w.log.String(), "got SIGTERM") })
	assert.NotEqual(t, pid, get(t, url+"/", w.as("ana@example.com")).seen(t).PID)
}

func never(t *testing.T, what string, d time.Duration, condition func() bool) {
	t.Helper()
	require.Never(t, condition, d, tick, what)
}

func TestTheLeastNumberOfInstancesIsKept(t *testing.T) {
	w := newWorld(t, frontend.Options{IdleTimeout: 50 * time.Millisecond})
	url := w.deploy(scaled(w.service(acme), 1, 3), "acme-00001-abc")
	first, second := hold(t, w, url), hold(t, w, url)
	require.Len(t, w.Instances(acme), 2, "one request each")
	first()
	second()
	eventually(t, "one instance", func() bool { return len(w.Instances(acme)) == 1 })
	never(t, "the last one is stopped", 300*time.Millisecond, func() bool { return len(w.Instances(acme)) == 0 })
}

func TestMoreInstancesAreStartedUntilTheMostThenRequestsWait(t *testing.T) {
	w := newWorld(t, frontend.Options{QueueTimeout: 300 * time.Millisecond})
	url := w.deploy(scaled(w.service(acme), 0, 2), "acme-00001-abc")
	first, second := hold(t, w, url), hold(t, w, url)
	defer second()
	require.Len(t, w.Instances(acme), 2)

	res := get(t, url+"/", w.as("ana@example.com"))
	assert.Equal(t, http.StatusTooManyRequests, res.StatusCode)
	assert.Contains(t, res.body, "no available instance")
	first()
}

func TestAPlaceThatBecomesFreeGoesToARequestThatWaits(t *testing.T) {
	w := newWorld(t, frontend.Options{QueueTimeout: patience})
	url := w.deploy(scaled(w.service(acme), 0, 2), "acme-00001-abc")
	first, second := hold(t, w, url), hold(t, w, url)
	defer second()
	done := make(chan int)
	go func() {
		res, err := send(t, client, http.MethodGet, url+"/", w.as("ana@example.com"), nil)
		assert.NoError(t, err)
		done <- res.StatusCode
	}()
	first()
	assert.Equal(t, http.StatusOK, <-done)
	assert.Len(t, w.Instances(acme), 2)
}

func TestABurstIsServedByFewInstances(t *testing.T) {
	w := newWorld(t, frontend.Options{QueueTimeout: patience})
	svc := w.service(acme)
	svc.Template.MaxInstanceRequestConcurrency = 10
	svc.Template.Scaling = &runpb.RevisionScaling{MaxInstanceCount: 3}
	url := w.deploy(svc, "acme-00001-abc")
	header := w.as("ana@example.com")
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			res, err := send(t, client, http.MethodPost, url+"/", header, strings.NewReader("x"))
			if assert.NoError(t, err) {
				assert.Equal(t, http.StatusOK, res.StatusCode, res.body)
			}
		})
	}
	wg.Wait()
	assert.LessOrEqual(t, len(w.Instances(acme)), 3)
	eventually(t, "all places are free again", func() bool {
		return !slices.ContainsFunc(w.Instances(acme), func(i frontend.Instance) bool { return i.Active > 0 })
	})
}

func TestARevisionThatWasReplacedEndsItsRequestsFirst(t *testing.T) {
	w := newWorld(t, frontend.Options{QueueTimeout: patience})
	url := w.deploy(scaled(w.service(acme), 0, 1), "acme-00001-abc")
	old := w.Instances(acme)[0].PID
	letGo := hold(t, w, url)
	waiting := make(chan response)
	go func() {
		res, err := send(t, client, http.MethodGet, url+"/", w.as("ana@example.com"), nil)
		assert.NoError(t, err)
		waiting <- res
	}()

	w.deploy(w.service(acme), "acme-00002-def")
	fresh := (<-waiting).seen(t).PID
	assert.NotEqual(t, old, fresh, "a request that waited for the former goes to the next")
	assert.True(t, alive(old), "the former still has a stream")
	assert.Len(t, w.Instances(acme), 2)
	letGo()
	eventually(t, "the former ends with its last request", func() bool { return !alive(old) })
	eventually(t, "it is no instance any more", func() bool { return len(w.Instances(acme)) == 1 })
}

func TestAnInstanceThatDoesNotStartAtARequestIs503(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	// It becomes ready and then cannot start again: its program is gone.
	url := w.deploy(svc, "acme-00001-abc")
	program := hideProgram(t)
	kill(t, w.Instances(acme)[0].PID)
	eventually(t, "its end is noticed", func() bool { return len(w.Instances(acme)) == 0 })
	assert.Equal(t, http.StatusServiceUnavailable, get(t, url+"/", w.as("ana@example.com")).StatusCode)
	program.restore()
	get(t, url+"/", w.as("ana@example.com")).seen(t)
}

func TestAManualCountOfNoneServesNothing(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	none := int32(0)
	svc.Scaling = &runpb.ServiceScaling{ScalingMode: runpb.ServiceScaling_MANUAL, ManualInstanceCount: &none}
	url := w.deploy(svc, "acme-00001-abc")
	assert.Empty(t, w.Instances(acme))
	assert.Equal(t, http.StatusServiceUnavailable, get(t, url+"/", w.as("ana@example.com")).StatusCode)
}

func TestAManualCountOfNoneStopsWhatRuns(t *testing.T) {
	w := newWorld(t, frontend.Options{})
	svc := w.service(acme)
	url := w.deploy(svc, "acme-00001-abc")
	pid := get(t, url+"/", w.as("ana@example.com")).seen(t).PID

	none := int32(0)
	suspended := proto.CloneOf(svc)
	suspended.Scaling = &runpb.ServiceScaling{ScalingMode: runpb.ServiceScaling_MANUAL, ManualInstanceCount: &none}
	w.deploy(suspended, "acme-00001-abc")
	assert.Equal(t, http.StatusServiceUnavailable, get(t, url+"/", w.as("ana@example.com")).StatusCode)
	eventually(t, "the instance is stopped, long before it would have idled", func() bool { return len(w.Instances(acme)) == 0 })

	w.deploy(svc, "acme-00001-abc")
	assert.NotEqual(t, pid, get(t, url+"/", w.as("ana@example.com")).seen(t).PID)
}
