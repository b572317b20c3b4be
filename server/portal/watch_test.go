package portal_test

import (
	"context"
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
		var told []string
		p.Changed = func(_ context.Context, uri string) { told = append(told, uri) }
		subscribed := false
		go p.Watch(t.Context(), func() bool { return subscribed })
		look := func() []string { // the clock is the test's own
			told = nil
			time.Sleep(10 * time.Second)
			synctest.Wait()
			return told
		}
		change := func(status string) {
			require.NoError(t, other.AddNote(t.Context(), manager, "G1", status, false))
		}

		change("before anybody subscribed")
		assert.Empty(t, look())
		subscribed = true
		ctx := guard.NewContext(identity.NewContext(t.Context(), identity.Caller{Email: viewer.Email}), guard.Viewer)
		require.NoError(t, p.Subscribe(ctx, &mcp.SubscribeRequest{Params: &mcp.SubscribeParams{URI: "portal://goals/G1"}}))
		change("before the first look")
		assert.Equal(t, []string{"portal://goals/G1", "portal://goals"}, look())
		assert.Empty(t, look(), "once")
		change("later")
		assert.Equal(t, []string{"portal://goals/G1", "portal://goals"}, look())
		subscribed = false
		assert.Empty(t, look())
		change("when nobody wants to know")
		assert.Empty(t, look())
	})
}
