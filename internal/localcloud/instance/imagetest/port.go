package imagetest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Port is a port that nothing listens on, for a program that has to be told one, or for none
// at all. It lies below those that systems choose by themselves, and below those that
// instances are given, so that nothing takes it by chance in the meantime.
func Port(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(10000)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		require.NoError(t, listener.Close())
		return port
	}
	require.FailNow(t, "no port between 10000 and 19999 is free")
	return 0
}
