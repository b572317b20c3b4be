package portal

import (
	"cmp"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"
)

// pageSize is how many items a list gives when it is not asked for fewer or more,
// and maxPage the most.
const (
	pageSize = 50
	maxPage  = 200
)

// Page says which part of a list to give.
type Page struct {
	Cursor string    `json:"cursor,omitempty" jsonschema:"next_cursor of the page before; leave out for the first"`
	Limit  pageLimit `json:"limit,omitempty" jsonschema:"at most so many, 1 to 200; 50 if left out"`
}

// pageLimit is from 1 to [maxPage], or 0 for [pageSize].
type pageLimit int

// cut gives the page of items, and the cursor of the next one, which is empty
// after the last. The cursor names the last item given, by the key that the list
// is sorted by, so that nothing is given twice or left out when others come and
// go in between.
func cut[T any](items []T, page Page, key func(T) string) ([]T, string, error) {
	limit := cmp.Or(int(page.Limit), pageSize)
	if page.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(page.Cursor)
		if err != nil {
			return nil, "", errors.New("cursor: it is not one that this list gave: leave it out to start again")
		}
		items = slices.DeleteFunc(slices.Clone(items), func(item T) bool { return key(item) <= string(after) })
	}
	if len(items) <= limit {
		return items, "", nil
	}
	items = items[:limit]
	return items, base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1]))), nil
}

func goalKey(g Goal) string               { return g.Target + " " + g.ID }
func deliverableKey(d Deliverable) string { return d.Due + " " + d.ID }

// contains says if a text has all words of a search, in whatever case.
func contains(search string, texts ...string) bool {
	all := strings.ToLower(strings.Join(texts, "\n"))
	for _, word := range strings.Fields(strings.ToLower(search)) {
		if !strings.Contains(all, word) {
			return false
		}
	}
	return true
}

func (g Goal) matches(search string) bool {
	return contains(search, append(notesText(g.Notes), g.ID, g.Title, g.Description)...)
}

func (d Deliverable) matches(search string) bool {
	return contains(search, append(append(notesText(d.Notes), d.Acceptance...), d.ID, d.Title, d.Owner)...)
}

func notesText(notes []Note) []string {
	var texts []string
	for _, note := range notes {
		texts = append(texts, note.Text)
	}
	return texts
}

// Overdue says if a deliverable should have been done before the day.
func (d Deliverable) Overdue(today string) bool { return d.open() && d.Due < today }

// open says if there is still work to do that has been agreed on.
func (d Deliverable) open() bool { return d.Status != "done" && d.Status != "proposed" }

// waitsFor are the deliverables that have to be done first and are not.
func (v View) waitsFor(d Deliverable) []string {
	var open []string
	for _, id := range d.DependsOn {
		if on, err := v.Deliverable(id); err == nil && on.Status != "done" {
			open = append(open, id)
		}
	}
	return open
}

// today is the day in UTC.
func (p *Portal) today() string { return p.Now().UTC().Format(time.DateOnly) }
