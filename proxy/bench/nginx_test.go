//go:build interop

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestInteropNginxIsMeasuredWhereItIsInstalled(t *testing.T) {
	assert.Contains(t, quickRun(t), "nginx")
}
