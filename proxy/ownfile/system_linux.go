package ownfile

import (
	"strings"
	"syscall"
)

// hasACL reports whether more users than owner and group may have permissions. The group bits
// of the mode are then the most that any of them has.
func hasACL(path string) bool {
	size, err := syscall.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && size > 0
}

// unmapped returns which uid the kernel shows for owners who are not in this user namespace.
// In the first namespace there are none.
func unmapped() func(uid uint32) bool {
	mapping := strings.Fields(readOrNothing("/proc/self/uid_map"))
	if len(mapping) == 3 && mapping[0] == "0" && mapping[2] == "4294967295" {
		return func(uint32) bool { return false }
	}
	overflow := strings.TrimSpace(readOrNothing("/proc/sys/kernel/overflowuid"))
	return func(uid uint32) bool { return number(uid) == overflow }
}
