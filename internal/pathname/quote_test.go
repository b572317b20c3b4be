package pathname

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/home/ada/.config/berth/proxy.yaml": "/home/ada/.config/berth/proxy.yaml",
		"/home/Tom's files/x":                `'/home/Tom'\''s files/x'`,
		"$(reboot)":                          "'$(reboot)'",
		"~/x":                                "'~/x'",
		"":                                   "''",
	} {
		assert.Equal(t, want, Quote(path), path)
	}
}
