package editors

import (
	"bytes"
	"io/fs"
	"regexp"
	"runtime"
	"slices"
)

// A URL of the proxy may have a secret in its path, which lets whoever knows it call as the
// developer. A file with such a URL in it is for its owner alone, wherever in the file it
// is: an entry, a comment, the history of an editor.

// secretURL is a URL of the proxy with a secret, as JSON or TOML may write it. The secret is
// the second group.
var secretURL = regexp.MustCompile(`(?i)(localhost|127\.0\.0\.1|\[::1\]):[0-9]+\\?/([A-Z0-9_-]{16,128})\\?/[a-z0-9][a-z0-9-]{0,62}\\?/(?:mcp|sse)\b`)

func holdsSecret(content []byte) bool { return secretURL.Match(content) }

// Redact takes the secrets of the proxy's URLs out of a text that is to be shown.
func Redact(text string) string {
	at := 0
	var out bytes.Buffer
	for _, m := range secretURL.FindAllStringSubmatchIndex(text, -1) {
		out.WriteString(text[at:m[4]] + "[secret]")
		at = m[5]
	}
	return out.String() + text[at:]
}

// WithSecret returns the IDs of the editors on this computer that have an entry with a
// secret in its URL, whichever secret it is.
func WithSecret(p Place) []string {
	var ids []string
	for _, e := range all {
		installed, err := e.Installed(p)
		if err == nil && slices.ContainsFunc(installed, func(i Installed) bool { return i.Secret != "" }) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// A SecretFile is one that holds a secret of the proxy's URLs.
type SecretFile struct {
	Name      string
	ForOthers bool // not only the owner has permissions on it, as its mode says; never on Windows
}

// FilesWithSecret returns which of the editor's files hold a secret: its configuration and
// the backup of that.
func (e Editor) FilesWithSecret(p Place) ([]SecretFile, error) {
	f, err := e.file(p)
	if err != nil {
		return nil, err
	}
	return f.withSecret()
}

func (f file) withSecret() ([]SecretFile, error) {
	var found []SecretFile
	for _, name := range []string{f.path, f.path + backupSuffix} {
		content, info, err := readBounded(name)
		if err != nil {
			return nil, err
		}
		if info != nil && holdsSecret(content) {
			found = append(found, SecretFile{name, isForOthers(info)})
		}
	}
	return found, nil
}

// forOthers are the permissions of all but a file's owner.
const forOthers fs.FileMode = 0o077

// isForOthers reports whether others have any permission on a file. On Windows modes do not
// tell.
func isForOthers(info fs.FileInfo) bool {
	return runtime.GOOS != "windows" && info.Mode()&forOthers != 0
}

// closed are the permissions that leave a file to its owner.
func closed(mode fs.FileMode) fs.FileMode { return mode &^ forOthers }
