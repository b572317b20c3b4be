package provider

import (
	"math/big"
	"strings"
	"time"
)

// sameDuration: "3600s" is "3600.0s" is "1h".
func sameDuration(a, b string) bool {
	da, errA := time.ParseDuration(a)
	db, errB := time.ParseDuration(b)
	return a == b || errA == nil && errB == nil && da == db
}

// quantitySuffixes are those of Kubernetes quantities that Cloud Run takes.
var quantitySuffixes = []struct {
	suffix     string
	multiplier *big.Rat
}{
	{"Ki", big.NewRat(1<<10, 1)},
	{"Mi", big.NewRat(1<<20, 1)},
	{"Gi", big.NewRat(1<<30, 1)},
	{"m", big.NewRat(1, 1000)},
	{"k", big.NewRat(1e3, 1)},
	{"M", big.NewRat(1e6, 1)},
	{"G", big.NewRat(1e9, 1)},
}

// sameQuantity: cpu "1" is "1000m", memory "1Gi" is "1024Mi".
func sameQuantity(a, b string) bool {
	qa, okA := quantity(a)
	qb, okB := quantity(b)
	return a == b || okA && okB && qa.Cmp(qb) == 0
}

func quantity(s string) (*big.Rat, bool) {
	number, multiplier := s, big.NewRat(1, 1)
	for _, q := range quantitySuffixes {
		if before, found := strings.CutSuffix(s, q.suffix); found {
			number, multiplier = before, q.multiplier
			break
		}
	}
	// SetString also reads fractions and exponents of any size, which would
	// cost time and mean nothing here.
	if number == "" || len(number) > 20 || strings.Trim(number, "0123456789.") != "" {
		return nil, false
	}
	value, ok := new(big.Rat).SetString(number)
	if !ok {
		return nil, false
	}
	return value.Mul(value, multiplier), true
}

// sameName: a resource may be named in full or by its last part.
func sameName(a, b string) bool {
	return a[strings.LastIndexByte(a, '/')+1:] == b[strings.LastIndexByte(b, '/')+1:]
}
