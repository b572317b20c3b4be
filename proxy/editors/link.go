package editors

import (
	"encoding/base64"
	"encoding/json"
	neturl "net/url"
)

// A linker makes the URL at which an editor offers to add an entry.
type linker func(name string, members map[string]any) (string, error)

// Link is the URL that makes the editor offer to add the server, and "" if it has none.
func (e Editor) Link(s Server) (string, error) {
	if e.link == nil {
		return "", nil
	}
	members, err := e.entry(s)
	if err != nil {
		return "", err
	}
	object := map[string]any{}
	for _, m := range members {
		object[m.key] = m.value
	}
	return e.link(s.Name, object)
}

func cursorLink(name string, members map[string]any) (string, error) {
	config, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	return "cursor://anysphere.cursor-deeplink/mcp/install?name=" + neturl.QueryEscape(name) +
		"&config=" + neturl.QueryEscape(base64.StdEncoding.EncodeToString(config)), nil
}

func vscodeLink(name string, members map[string]any) (string, error) {
	members["name"] = name
	config, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	return "vscode:mcp/install?" + neturl.PathEscape(string(config)), nil
}
