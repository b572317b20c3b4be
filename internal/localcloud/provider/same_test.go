package provider

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSame(t *testing.T) {
	for name, tc := range map[string]struct {
		same func(a, b string) bool
		a, b string
		want bool
	}{
		"durations of other spelling":       {sameDuration, "3600s", "1h", true},
		"durations with a fraction":         {sameDuration, "300s", "300.000s", true},
		"other durations":                   {sameDuration, "300s", "301s", false},
		"not durations":                     {sameDuration, "soon", "later", false},
		"one cpu":                           {sameQuantity, "1", "1000m", true},
		"half a cpu":                        {sameQuantity, "0.5", "500m", true},
		"other cpus":                        {sameQuantity, "1", "2", false},
		"memory in other units":             {sameQuantity, "1Gi", "1024Mi", true},
		"binary and decimal units":          {sameQuantity, "1Gi", "1G", false},
		"not quantities":                    {sameQuantity, "a", "b", false},
		"a quantity that would be enormous": {sameQuantity, "1e999999999", "1", false},
		"an unending quantity":              {sameQuantity, strings.Repeat("9", 1e6), "1", false},
		"a name in full":                    {sameName, "projects/p/locations/l/services/s", "s", true},
		"another name":                      {sameName, "projects/p/locations/l/services/s", "t", false},
		"addresses have no case":            {sameMember, "user:Ann@Example.com", "user:ann@example.com", true},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.want, tc.same(tc.a, tc.b))
			assert.Equal(t, tc.want, tc.same(tc.b, tc.a), "either way round")
		})
	}
}
