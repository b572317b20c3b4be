package pathname

import (
	"regexp"
	"strings"
)

// Quote returns a path as a word of a command for a POSIX shell, so that a command in a
// message can be pasted.
func Quote(path string) string {
	if plainWord.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./@%+=:,-]+$`)
