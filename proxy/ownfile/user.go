//go:build unix

package ownfile

import (
	"io/fs"
	"os"
	account "os/user"
	"runtime"

	"github.com/berth-mcp/berth/internal/pathname"
)

const (
	root = 0 // uid of who may do everything, and gid of the group that is trusted with as much

	// adminGroup is the group of macOS whose members may become root. Homebrew's directories
	// are writable for it.
	adminGroup = 80

	writableByGroup  = 0o020
	writableByOthers = 0o002
)

// A user is whom files must belong to, if not to root.
type user struct {
	uid uint32
	// isOwn reports whether nobody but the user, and those who may be root anyway, can write
	// by a group's permission.
	isOwn func(group entry) bool
	// isUnmapped reports whether a uid stands for owners who do not exist here: in a container
	// without root the system's own directories belong to one.
	isUnmapped func(uid uint32) bool
}

func current() user {
	u := user{uid: uint32(os.Geteuid())}
	u.isOwn = func(e entry) bool {
		switch {
		case e.gid == root, runtime.GOOS == "darwin" && e.gid == adminGroup:
			return true
		case hasACL(e.path): // its group bits are not the group's
			return false
		}
		return isPrivateGroup(readOrNothing("/etc/passwd"), readOrNothing("/etc/group"), u.uid, e.gid)
	}
	u.isUnmapped = unmapped()
	return u
}

func readOrNothing(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "" // then no group is known to be the user's alone
	}
	return string(content)
}

func (u user) trusts(uid uint32) bool { return uid == u.uid || uid == root }

// checkWay returns an error if somebody else can exchange what a path leads to, in one of the
// directories on the way.
func (u user) checkWay(path string, steps []step) error {
	for _, s := range steps {
		dir := s.dir
		sticky := dir.mode&fs.ModeSticky != 0 // only its owner can exchange an entry
		switch {
		case !u.trusts(dir.uid) && !u.isUnmapped(dir.uid):
			return unsafe("%s can be replaced by %s, who owns the directory %s: run `%s`, or move the file to a directory of your own",
				path, nameOf(dir.uid), dir.path, u.chown(dir))
		case sticky && dir.mode&(writableByGroup|writableByOthers) != 0:
			if !u.trusts(s.entry.uid) {
				return unsafe("%s can be replaced by %s, who owns %s: move the file to a directory of your own", path, nameOf(s.entry.uid), s.entry.path)
			}
		case u.writable(dir):
			return unsafe("%s can be replaced by others, who may write the directory %s (mode %#o): run `%s`, or move the file to a directory of your own",
				path, dir.path, dir.mode.Perm(), u.chmod("go-w", dir))
		}
	}
	return nil
}

// checkFile returns an error if somebody else can write a file.
func (u user) checkFile(file entry, private bool) error {
	switch {
	case !u.trusts(file.uid):
		return unsafe("%s belongs to %s, who could have your token sent to them: run `%s`", file.path, nameOf(file.uid), u.chown(file))
	case u.writable(file), private && file.mode.Perm()&writableByGroup != 0:
		change := "go-w"
		if private && file.uid == u.uid {
			change = "600"
		}
		return unsafe("%s may be written by others (mode %#o), who could have your token sent to them: run `%s`", file.path, file.mode.Perm(), u.chmod(change, file))
	}
	return nil
}

// writable reports whether others may write.
func (u user) writable(e entry) bool {
	mode := e.mode.Perm()
	return mode&writableByOthers != 0 || mode&writableByGroup != 0 && !u.isOwn(e)
}

// chmod is the command that takes a permission away.
func (u user) chmod(change string, e entry) string {
	command := "chmod " + change + " " + pathname.Quote(e.path)
	if e.uid != u.uid {
		return "sudo " + command
	}
	return command
}

// chown is the command that makes something the user's.
func (u user) chown(e entry) string {
	command := "chown " + number(u.uid) + " " + pathname.Quote(e.path)
	if u.uid != root {
		return "sudo " + command
	}
	return command
}

// nameOf is a user's name, or in words the number of one who has none here.
func nameOf(uid uint32) string {
	if a, err := account.LookupId(number(uid)); err == nil {
		return a.Username
	}
	return "user " + number(uid)
}
