package page

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/berth-mcp/berth/proxy/doctor"
	"github.com/berth-mcp/berth/proxy/editors"
	"github.com/berth-mcp/berth/proxy/relay"
)

// A view is what the template shows.
type view struct {
	URL, Version string
	Account      string // "" if it is not known yet
	Proof        string
	Clients      []clientView
}

type clientView struct {
	Name, Server, Local string
	Hint                string // whom to ask for access
	Figures             []figure
	Checked             *checkView // nil if the button has not been pressed
	Editors             []editorView
}

type figure struct{ Name, Value, Note string }

type checkView struct {
	At      string
	Verdict string
	Status  doctor.Status
	Results []doctor.Result
}

type editorView struct {
	ID, Title, File, Snippet string
	Install                  string // the command that does it
	Found                    bool
	Note                     string // how it stands with the client
	Link                     template.URL
}

func (p *Page) view() view {
	v := view{URL: p.url(), Version: p.Version, Account: p.signedIn(), Proof: p.proof}
	for _, c := range p.Snapshot() {
		v.Clients = append(v.Clients, p.client(c))
	}
	return v
}

// url is the proxy's address, as editors have it.
func (p *Page) url() string { return relay.LocalURL(p.Port, p.Secret()) }

func (p *Page) client(c relay.ClientStats) clientView {
	v := clientView{
		Name:    c.Target.Name,
		Server:  c.Target.URL(),
		Local:   p.url() + "/" + c.Target.Name + "/mcp",
		Hint:    c.Target.AccessHint,
		Figures: figures(c),
		Editors: p.editors(c.Target.Name),
	}
	if last := p.checked(c); last != nil {
		worst := doctor.Worst(last.Results)
		v.Checked = &checkView{last.At.Format(time.TimeOnly), verdicts[worst], worst, last.Results}
	}
	return v
}

var verdicts = map[doctor.Status]string{
	doctor.OK:      "You can use it.",
	doctor.Warning: "You can use it, but look at this:",
	doctor.Failed:  "You cannot use it now:",
}

func figures(c relay.ClientStats) []figure {
	failed := figure{"Failed", fmt.Sprint(c.Failed), ""}
	if c.Calls > 0 {
		failed.Note = fmt.Sprintf("%.1f %%", 100*float64(c.Failed)/float64(c.Calls))
	}
	return []figure{
		{"Sessions", fmt.Sprint(c.Sessions), "in use"},
		{"Streams", fmt.Sprint(c.Streams), "open now"},
		{"Calls", fmt.Sprint(c.Calls), "since the start"},
		failed,
		{"Typical answer", duration(c, 0.5), "half are faster"},
		{"Slow answer", duration(c, 0.99), "1 in 100 is slower"},
	}
}

// duration is a quantile of the client's latency.
func duration(c relay.ClientStats, q float64) string {
	if c.Calls == 0 {
		return "–"
	}
	d := c.Latency.Quantile(q)
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

// editors are those that are found on this computer, and then the others.
func (p *Page) editors(client string) []editorView {
	var all []editorView
	for _, e := range editors.All() {
		s := editors.Server{Name: client}
		if e.TakesURL() {
			s.URL = p.url() + "/" + client + "/mcp"
		} else {
			s.Command = p.Command(client)
		}
		snippet, err := e.Snippet(s)
		if err != nil {
			p.Logger.Error("an editor is left out of the page", "editor", e.ID, "error", err)
			continue
		}
		link := ""
		if s.URL == "" || p.Secret() == "" { // or the browser would hand the secret on in an argument, which all users can see
			link, err = e.Link(s)
		}
		if err != nil {
			p.Logger.Error("the link of an editor is left out of the page", "editor", e.ID, "error", err)
		}
		found := e.Found(p.System)
		all = append(all, editorView{
			ID: e.ID, Title: e.Title, Snippet: snippet,
			Install: e.InstallCommand(client, p.Port, p.Secret() != ""),
			File:    p.short(e.UserFile(p.System)),
			Found:   found,
			Note:    p.standing(e, client, found),
			// Of the editor's own scheme, with a client's name and the proxy's URL in it.
			Link: template.URL(link),
		})
	}
	slices.SortStableFunc(all, func(a, b editorView) int {
		switch {
		case a.Found == b.Found:
			return 0
		case a.Found:
			return -1
		}
		return 1
	})
	return all
}

// standing is how it stands with an editor and a client; "" if the editor is not here.
func (p *Page) standing(e editors.Editor, client string, found bool) string {
	if !found {
		return ""
	}
	installed, err := e.Installed(editors.Place{System: p.System, Program: p.Command(client)[0]})
	if err != nil {
		return "its configuration cannot be read"
	}
	for _, i := range installed {
		if i.Client == client && (i.Command != "" || i.Port == p.Port && i.Secret == p.Secret()) {
			return "connected"
		}
	}
	return "on this computer"
}

// short is a file's name with ~ for the home directory.
func (p *Page) short(file string) string {
	if rest, found := strings.CutPrefix(file, p.System.Home); found && p.System.Home != "" {
		return "~" + rest
	}
	return file
}
