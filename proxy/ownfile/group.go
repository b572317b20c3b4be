//go:build unix

package ownfile

import (
	"strconv"
	"strings"
)

// isPrivateGroup reports whether a group has the user's name and no other member. Fedora,
// Debian and others give every user such a group, and with a umask of 002 it may write what
// the user makes. The texts are those of passwd(5) and group(5); who is not in them, but in a
// directory on the network, is not known to be alone.
func isPrivateGroup(passwd, groups string, uid, gid uint32) bool {
	name := ""
	for fields := range records(passwd, 4) {
		switch {
		case fields[2] == number(uid):
			name = fields[0]
		case fields[3] == number(gid):
			return false // somebody else's group, too
		}
	}
	found := false
	for fields := range records(groups, 4) {
		if fields[2] != number(gid) {
			continue
		}
		if found = fields[0] == name && (fields[3] == "" || fields[3] == name); !found {
			return false
		}
	}
	return found && name != ""
}

// records are the lines of a file with at least so many fields.
func records(text string, fields int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			record := strings.Split(strings.TrimSpace(line), ":")
			if len(record) >= fields && !yield(record) {
				return
			}
		}
	}
}

func number(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
