package leaktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAGoroutineThatStaysIsNamedAndOneThatEndsLateIsNot(t *testing.T) {
	stay := make(chan struct{})
	go lingers(stay)
	require.ErrorContains(t, findWithin(0), "leaktest.lingers")

	time.AfterFunc(time.Second, func() { close(stay) }) // later than goleak waits
	assert.NoError(t, Find())
}

func lingers(until <-chan struct{}) { <-until }
