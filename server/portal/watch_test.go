package portal_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/guard"
	"github.com/berth-mcp/berth/server/identity"
)

func TestWhatOthersChangeAfterASubscriptionIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, base := inDir(t)
		other := open(t, openDir(t, base), "acme")
		told := make(chan string, 10)
		p.Changed = func(_ context.Context, uri string) { told <- uri }
		var subscribed atomic.Bool
		go p.Watch(t.Context(), subscribed.Load)
		look := func() (uris []string) { // the clock is the test's own
			time.Sleep(10 * time.Second)
			synctest.Wait()
			for len(told) > 0 {
				uris = append(uris, <-told)
			}
			return uris
		}
		change := func(status string) {
			require.NoError(t, other.AddNote(t.Context(), manager, "G1", status, false))
		}

		change("before anybody subscribed")
		assert.Empty(t, look())
		subscribed.Store(true)
		ctx := guard.NewContext(identity.NewContext(t.Context(), identity.Caller{Email: viewer.Email}), guard.Viewer)
		require.NoError(t, p.Subscribe(ctx, &mcp.SubscribeRequest{Params: &mcp.SubscribeParams{URI: "portal://goals/G1"}}))
		change("before the first look")
		assert.Equal(t, []string{"portal://goals/G1", "portal://goals"}, look())
		assert.Empty(t, look(), "once")
		change("later")
		assert.Equal(t, []string{"portal://goals/G1", "portal://goals"}, look())
		subscribed.Store(false)
		assert.Empty(t, look())
		change("when nobody wants to know")
		assert.Empty(t, look())
	})
}
