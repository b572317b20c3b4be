package portal

import (
	"errors"
	"fmt"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// A textFunc does something with one text that people have written.
type textFunc func(field string, form plaintext.Form, text *string)

// texts calls do with everything in the goal that people write, except its log.
func (g *Goal) texts(do textFunc) {
	do("title", plaintext.OneLine, &g.Title)
	do("description", plaintext.Lines, &g.Description)
	linkTexts(g.Links, do)
}

// texts calls do with everything in the deliverable that people write, except its log.
func (d *Deliverable) texts(do textFunc) {
	do("title", plaintext.OneLine, &d.Title)
	do("owner", plaintext.OneLine, &d.Owner)
	for i := range d.Acceptance {
		do(fmt.Sprintf("acceptance[%d]", i), plaintext.Lines, &d.Acceptance[i])
	}
	linkTexts(d.Links, do)
}

func linkTexts(links []Link, do textFunc) {
	for i := range links {
		field := fmt.Sprintf("links[%d]", i)
		do(field+".title", plaintext.OneLine, &links[i].Title)
		do(field+".url", plaintext.OneLine, &links[i].URL)
	}
}

func (l *Log) texts(do textFunc) {
	for i := range l.Notes {
		note := fmt.Sprintf("notes[%d]", i)
		do(note+".author", plaintext.OneLine, &l.Notes[i].Author)
		do(note+".text", plaintext.Lines, &l.Notes[i].Text)
	}
	for i := range l.History {
		change := fmt.Sprintf("history[%d]", i)
		do(change+".by", plaintext.OneLine, &l.History[i].By)
		do(change+".what", plaintext.OneLine, &l.History[i].What)
	}
}

// checkTexts tells which texts of an item that is to be stored hold characters that a
// terminal would obey, or that nobody could see. It is no part of the item's own check,
// which older data must pass that were stored without it. The log is not looked at: an
// import leaves it out.
func checkTexts[T any, P item[T]](it P) error {
	var p problems
	it.texts(func(field string, form plaintext.Form, text *string) { p.plain(field, *text, form) })
	return errors.Join(p...)
}

// escapeTexts makes an item fit to be shown that may have been stored without checkTexts.
func escapeTexts[T any, P item[T]](it P) {
	escape := func(_ string, form plaintext.Form, text *string) { *text = form.Escape(*text) }
	it.texts(escape)
	it.log().texts(escape)
}

// plain refuses characters that a text may not have.
func (p *problems) plain(field, value string, form plaintext.Form) {
	if err := plaintext.Check(value, form); err != nil {
		p.add(false, field, value, err.Error())
	}
}

// checkNote tells what is wrong with the text of a new note.
func checkNote(field, text string) error {
	var p problems
	p.plain(field, text, plaintext.Lines)
	return errors.Join(p...)
}
