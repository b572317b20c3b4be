package protection_test

import (
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
