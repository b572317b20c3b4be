//go:build unix

package ownfile

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	ada      = 1000
	bob      = 1001
	nobody   = 65534
	adaGroup = 1000
	staff    = 50
)

// asAda is Ada, whose own group may write what she makes.
var asAda = user{
	uid:        ada,
	isOwn:      func(e entry) bool { return e.gid == adaGroup || e.gid == root },
	isUnmapped: func(uint32) bool { return false },
}

func dir(path string, uid, gid uint32, mode fs.FileMode) entry {
	return entry{path, uid, gid, mode | fs.ModeDir}
}

// to makes the steps to a file through directories.
func to(file entry, dirs ...entry) []step {
	all := append(dirs, file)
	var steps []step
	for i := range dirs {
		steps = append(steps, step{all[i], all[i+1]})
	}
	return steps
}

func TestCheckWay(t *testing.T) {
	const path = "/srv/ada/proxy.yaml"
	slash, mine := dir("/", root, root, 0o755), entry{path, ada, adaGroup, 0o600}
	for name, test := range map[string]struct {
		steps []step
		want  []string // of the error; none: it is good
	}{
		"a home":                                {to(mine, slash, dir("/srv", root, root, 0o755), dir("/srv/ada", ada, adaGroup, 0o700)), nil},
		"a home that the user's group writes":   {to(mine, slash, dir("/srv", root, root, 0o755), dir("/srv/ada", ada, adaGroup, 0o775)), nil},
		"a home that another group writes":      {to(mine, slash, dir("/srv/ada", ada, staff, 0o775)), []string{path + " can be replaced by others, who may write the directory /srv/ada (mode 0775)", "run `chmod go-w /srv/ada`"}},
		"a home that everybody writes":          {to(mine, slash, dir("/srv/ada", ada, adaGroup, 0o707)), []string{"run `chmod go-w /srv/ada`"}},
		"a home of another user":                {to(mine, slash, dir("/srv/ada", bob, adaGroup, 0o755)), []string{path + " can be replaced by ", "who owns the directory /srv/ada: run `sudo chown 1000 /srv/ada`"}},
		"root's directory that everybody write": {to(mine, dir("/", root, root, 0o757), dir("/srv/ada", ada, adaGroup, 0o700)), []string{"run `sudo chmod go-w /`"}},
		"a directory far above":                 {to(mine, slash, dir("/srv", bob, bob, 0o755), dir("/srv/ada", ada, adaGroup, 0o700)), []string{"who owns the directory /srv:"}},
		"for temporary files":                   {to(mine, slash, dir("/tmp", root, root, 0o777|fs.ModeSticky)), nil},
		"for temporary files, of another user":  {to(entry{path, bob, bob, 0o644}, slash, dir("/tmp", root, root, 0o777|fs.ModeSticky)), []string{"who owns " + path}},
		"a link of another user there":          {append(to(entry{"/tmp/l", bob, bob, fs.ModeSymlink | 0o777}, slash, dir("/tmp", root, root, 0o777|fs.ModeSticky)), to(mine, slash, dir("/srv/ada", ada, adaGroup, 0o700))...), []string{"who owns /tmp/l"}},
		"another user's, with the sticky bit":   {to(mine, slash, dir("/tmp", bob, root, 0o777|fs.ModeSticky)), []string{"who owns the directory /tmp"}},
		// What Kubernetes mounts for a service account's token, with fsGroup.
		"a projected token": {append(
			to(entry{"/run/token", root, root, fs.ModeSymlink | 0o777}, slash, dir("/run", root, staff, 0o777|fs.ModeSticky|fs.ModeSetgid)),
			append(to(entry{"/run/..data", root, root, fs.ModeSymlink | 0o777}, slash, dir("/run", root, staff, 0o777|fs.ModeSticky|fs.ModeSetgid)),
				to(entry{"/run/..2026/token", root, staff, 0o644}, slash, dir("/run", root, staff, 0o777|fs.ModeSticky|fs.ModeSetgid), dir("/run/..2026", root, staff, 0o755|fs.ModeSetgid))...)...), nil},
		"a name with spaces": {to(mine, slash, dir("/srv/a b", ada, adaGroup, 0o777)), []string{"run `chmod go-w '/srv/a b'`"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := asAda.checkWay(path, test.steps)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			var unsafe *UnsafeError
			require.ErrorAs(t, err, &unsafe)
			for _, want := range test.want {
				assert.ErrorContains(t, err, want)
			}
		})
	}
}

// In a container without root, the directories of the system above have no owner here.
func TestCheckWay_TrustsUnmappedOwnersOfDirectoriesOnly(t *testing.T) {
	inContainer := asAda
	inContainer.isUnmapped = func(uid uint32) bool { return uid == nobody }
	home := to(entry{"/home/ada/f", ada, adaGroup, 0o600}, dir("/home", nobody, nobody, 0o755), dir("/home/ada", ada, adaGroup, 0o700))
	require.NoError(t, inContainer.checkWay("/home/ada/f", home))
	require.Error(t, asAda.checkWay("/home/ada/f", home))
	home[0].dir.mode |= 0o020
	require.Error(t, inContainer.checkWay("/home/ada/f", home))
	require.Error(t, inContainer.checkFile(entry{"/home/ada/f", nobody, nobody, 0o644}, false))
}

func TestCheckFile(t *testing.T) {
	for name, test := range map[string]struct {
		file    entry
		private bool
		want    string
	}{
		"the user's":                           {entry{"/f", ada, adaGroup, 0o600}, true, ""},
		"root's, that all may read":            {entry{"/f", root, root, 0o644}, true, ""},
		"another user's":                       {entry{"/f", bob, adaGroup, 0o600}, false, "who could have your token sent to them: run `sudo chown 1000 /f`"},
		"one that everybody may write":         {entry{"/f", ada, adaGroup, 0o666}, false, "/f may be written by others (mode 0666), who could have your token sent to them: run `chmod go-w /f`"},
		"a secret that everybody may write":    {entry{"/f", ada, adaGroup, 0o606}, true, "run `chmod 600 /f`"},
		"root's, that everybody may write":     {entry{"/f", root, root, 0o606}, true, "run `sudo chmod go-w /f`"},
		"one that the user's group may write":  {entry{"/f", ada, adaGroup, 0o664}, false, ""},
		"a secret that that group may write":   {entry{"/f", ada, adaGroup, 0o664}, true, "run `chmod 600 /f`"},
		"one that another group may write":     {entry{"/f", ada, staff, 0o664}, false, "run `chmod go-w /f`"},
		"root's, that another group may write": {entry{"/f", root, staff, 0o664}, false, "run `sudo chmod go-w /f`"},
	} {
		err := asAda.checkFile(test.file, test.private)
		if test.want == "" {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorContains(t, err, test.want, name)
	}
	asRoot := user{uid: root, isOwn: asAda.isOwn, isUnmapped: asAda.isUnmapped}
	assert.ErrorContains(t, asRoot.checkFile(entry{"/f", ada, adaGroup, 0o600}, true), "run `chown 0 /f`", "root reads no user's file")
}

func TestIsPrivateGroup(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n"
	for name, test := range map[string]struct {
		passwd, groups string
		uid, gid       uint32
		want           bool
	}{
		"the user's own":                  {passwd, "root:x:0:\nada:x:1000:\n", ada, 1000, true},
		"with the user as its member":     {passwd, "ada:x:1000:ada\n", ada, 1000, true},
		"with another member":             {passwd, "ada:x:1000:ada,bob\n", ada, 1000, false},
		"of another name":                 {passwd, "team:x:1000:\n", ada, 1000, false},
		"of another user":                 {passwd, "bob:x:1001:\n", ada, 1001, false},
		"that is another user's, too":     {passwd + "eve:x:1002:1000::/:/bin/sh\n", "ada:x:1000:\n", ada, 1000, false},
		"of two names":                    {passwd, "ada:x:1000:\nteam:x:1000:bob\n", ada, 1000, false},
		"that is in no file":              {passwd, "root:x:0:\n", ada, 1000, false},
		"of a user who is in no file":     {"root:x:0:0::/:/bin/sh\n", "ada:x:1000:\n", ada, 1000, false},
		"of a user without a name":        {":x:1000:1000::/:/bin/sh\n", ":x:1000:\n", ada, 1000, false},
		"where nothing can be read":       {"", "", ada, 1000, false},
		"where the lines are not of that": {"+::::::\n", "+:::\nada:x:1000\n", ada, 1000, false},
	} {
		assert.Equal(t, test.want, isPrivateGroup(test.passwd, test.groups, test.uid, test.gid), name)
	}
}
