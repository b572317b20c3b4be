package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/berth-mcp/berth/internal/plaintext"
	"github.com/berth-mcp/berth/proxy/relay"
)

// A Client is one client's server, as a developer names it: by its URL, or as a service on
// Cloud Run whose URL is to be looked up. With both, the URL is what was found.
type Client struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"`

	// The service's Google project and region, and its exact name there.
	Project string `json:"project,omitempty"`
	Region  string `json:"region,omitempty"`
	Service string `json:"service,omitempty"`

	Audience   string `json:"audience,omitempty"`   // of tokens, where the login can choose it
	AccessHint string `json:"accessHint,omitempty"` // whom to ask for access
}

// A field is one key below a client's name.
type field struct {
	key     string
	of      func(*Client) *string
	pattern *regexp.Regexp // nil: checked otherwise
	use     string         // what the pattern wants, for a person
}

var fields = []field{
	{"url", func(c *Client) *string { return &c.URL }, nil, ""},
	// Resource Manager's rule; in front of the colon is the domain of an older project.
	{"project", func(c *Client) *string { return &c.Project },
		regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`), "a project's id, such as my-project"},
	{"region", func(c *Client) *string { return &c.Region },
		regexp.MustCompile(`^[a-z]+(-[a-z]+)+[0-9]{1,2}$`), "a region, such as europe-west1"},
	// Cloud Run's rule.
	{"service", func(c *Client) *string { return &c.Service },
		regexp.MustCompile(`^[a-z]([a-z0-9-]{0,47}[a-z0-9])?$`), "a service's exact name, such as berth-acme"},
	{"audience", func(c *Client) *string { return &c.Audience },
		regexp.MustCompile(`^[!-~]+$`), "one of the service's custom audiences, without spaces"},
	{"access-hint", func(c *Client) *string { return &c.AccessHint }, nil, ""},
}

// maxValue bounds what has a pattern, in bytes. In the pattern, so many repeats would take
// longer to compile than all else at the start of the program.
const maxValue = 999

// maxHint bounds an access hint, in bytes: it is part of a sentence.
const maxHint = 200

// Check tells everything that is wrong with the client's fields and name. The problems do
// not repeat the name, nor anything of a URL that may be secret.
func (c Client) Check() []error {
	var problems []error
	if c.URL != "" {
		_, problems = relay.NewTarget(c.Name, c.URL)
	} else if err := relay.CheckName(c.Name); err != nil {
		problems = append(problems, err)
	}
	for _, f := range fields {
		if value := *f.of(&c); value != "" && f.pattern != nil && (len(value) > maxValue || !f.pattern.MatchString(value)) {
			problems = append(problems, fmt.Errorf("%s is %q: use %s", f.key, value, f.use))
		}
	}
	if len(c.AccessHint) > maxHint || plaintext.Check(c.AccessHint, plaintext.OneLine) != nil {
		problems = append(problems, fmt.Errorf("access-hint is not one line of at most %d letters: use the group to ask, such as acme-developers@example.com", maxHint))
	}
	return append(problems, c.checkService()...)
}

func (c Client) checkService() []error {
	var missing []string
	for _, f := range fields[1:4] {
		if *f.of(&c) == "" {
			missing = append(missing, f.key)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 3:
		if c.URL != "" {
			return nil
		}
		return []error{errors.New("no server is named: give its url, or the project, region and service that it is on Cloud Run")}
	}
	return []error{fmt.Errorf("a service on Cloud Run is named by project, region and service: give %s", strings.Join(missing, " and "))}
}

// Located reports whether the client's URL is known.
func (c Client) Located() bool { return c.URL != "" }

// Target is the client as the relay has it. It has been checked, and is Located.
func (c Client) Target() (relay.Target, error) {
	t, problems := relay.NewTarget(c.Name, c.URL)
	t.Audience, t.AccessHint = c.Audience, c.AccessHint
	return t, errors.Join(problems...)
}
