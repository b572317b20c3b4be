package doctor

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/berth-mcp/berth/proxy/operate"
)

func TestOtherThanProxy_TellsOfAnotherUser(t *testing.T) {
	d := Doctor{Port: 3030}
	assert.Equal(t, "what listens on port 3030 is run by another user (uid 65534), who gets what your editors send there: choose another port with --port, or connect the editors with `berth-proxy install EDITOR --stdio`",
		d.otherThanProxy(&operate.StrangerError{Owner: "65534", Claim: operate.NoSecret}))
}
