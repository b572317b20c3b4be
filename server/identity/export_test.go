package identity

import "time"

// SetClock gives a verifier of mode oidc another clock than the machine's.
func SetClock(v Verifier, now func() time.Time) { v.(*OIDC).now = now }
