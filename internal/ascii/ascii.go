// Package ascii compares names that have no case, such as e-mail addresses and IAM
// members, by ASCII's letters only.
//
// Unicode has other letters that become ASCII's when their case is folded: the Kelvin
// sign (U+212A) becomes k, the long s (U+017F) becomes s. With strings.ToLower or
// strings.EqualFold, a name written with one of them passes for somebody else's.
package ascii

// Is reports whether s has nothing but ASCII characters.
func Is(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Lower returns s with A to Z in lower case, and everything else as it is.
func Lower(s string) string {
	lower := []byte(s)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower)
}

// EqualFold reports whether a and b differ in the case of ASCII's letters at most.
func EqualFold(a, b string) bool { return Lower(a) == Lower(b) }
