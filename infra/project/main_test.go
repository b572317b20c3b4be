package project

import (
	"os"
	"testing"

	"github.com/berth-mcp/berth/internal/envtest"
)

func TestMain(m *testing.M) {
	envtest.Clear()
	os.Exit(m.Run())
}
