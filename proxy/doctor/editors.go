package doctor

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/berth-mcp/berth/internal/pathname"
	"github.com/berth-mcp/berth/proxy/editors"
)

// checkEditors looks at the entries that lead to the proxy in every editor there is.
func (d *Doctor) checkEditors() []Result {
	var results []Result
	for _, e := range editors.All() {
		if !e.Found(d.Place.System) {
			continue
		}
		installed, err := e.Installed(d.Place)
		if err != nil {
			results = append(results, Result{Check: Editor, Status: Failed, Message: fmt.Sprintf("%s cannot read its configuration: %v: correct it", e.Title, err)})
			continue
		}
		for _, i := range installed {
			if !d.isAbout(i) {
				continue
			}
			r := Result{Client: i.Client, Check: Editor, Status: OK, Message: fmt.Sprintf("%s has it as %s", e.Title, i.Name)}
			if wrong := d.wrong(i); wrong != "" {
				r.Status, r.Message = Failed, fmt.Sprintf("%s has it as %s, %s: run %s", e.Title, i.Name, wrong, e.InstallCommand(i.Client, d.Port, d.Secret != ""))
			}
			results = append(results, r)
		}
	}
	if len(results) == 0 {
		return []Result{{Check: Editor, Status: Warning, Message: "no editor leads to the proxy: run berth-proxy install, see berth-proxy install --list"}}
	}
	return results
}

// checkSecret looks for files with a secret of the proxy's addresses in them that others can
// read: whoever knows it calls as the developer.
func (d *Doctor) checkSecret() []Result {
	var results []Result
	if d.Secret != "" && d.Place.System.OS == "windows" {
		results = append(results, Result{Check: Secret, Status: Unknown, Message: fmt.Sprintf("whether others can read %s is not checked on Windows: look with icacls", d.SecretFile)})
	}
	for _, e := range editors.All() {
		files, err := e.FilesWithSecret(d.Place)
		var names, exposed []string
		for _, f := range files {
			names = append(names, f.Name)
			if f.ForOthers {
				exposed = append(exposed, pathname.Quote(f.Name))
			}
		}
		r := Result{Check: Secret, Status: OK, Message: fmt.Sprintf("only you can read it in the files of %s", e.Title)}
		switch {
		case err != nil:
			r.Status, r.Message = Unknown, fmt.Sprintf("the files of %s cannot be read: %v", e.Title, err)
		case len(files) == 0:
			continue
		case d.Place.System.OS == "windows":
			r.Status, r.Message = Unknown, fmt.Sprintf("whether others can read it in %s is not checked on Windows: look with icacls, or use `berth-proxy install %s --stdio`, which needs no secret", strings.Join(names, ", "), e.ID)
		case len(exposed) > 0:
			r.Status, r.Message = Failed, fmt.Sprintf("others can read it in the files of %s: run `chmod 600 %s`", e.Title, strings.Join(exposed, " "))
		}
		results = append(results, r)
	}
	return results
}

// isAbout reports whether an entry is for one of the clients that are looked at.
func (d *Doctor) isAbout(i editors.Installed) bool {
	for _, t := range d.Targets {
		if t.Name == i.Client {
			return true
		}
	}
	return false
}

// wrong tells what is wrong with an entry.
func (d *Doctor) wrong(i editors.Installed) string {
	if i.Command == "" {
		switch {
		case i.Port != d.Port:
			return fmt.Sprintf("but at port %d in place of %d", i.Port, d.Port)
		case i.Secret != d.Secret && d.Secret == "":
			return "but with a secret in the path, which the proxy is not told to have (--path-secret)"
		case i.Secret == "" && d.Secret != "":
			return "but without the secret of the path"
		case i.Secret != d.Secret:
			return "but with another secret in the path than the proxy's"
		}
		return ""
	}
	if !strings.ContainsAny(i.Command, `/\`) {
		return "" // found in the editor's PATH, which is not known
	}
	info, err := os.Stat(i.Command)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "but there is no " + i.Command
	case err == nil && info.IsDir():
		return "but " + i.Command + " is a directory"
	}
	return ""
}
