package portal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/berth-mcp/berth/internal/ascii"
	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/store"
)

// What belongs to somebody names them by [identity.Caller.Key]. What names only an
// e-mail address is either older than that, or an owner as a manager writes one. All
// that names an address belongs to the first caller who has it and whose issuer is the
// only one that may speak for it. A document of its own, the claim, keeps who that was:
// whoever gets the address later owns nothing of it.

// claim says whose everything is that names only an address.
type claim struct {
	Email string    `yaml:"email"`
	ID    string    `yaml:"id"`
	At    time.Time `yaml:"at"`
}

func (c claim) check() error {
	var p problems
	email, err := identity.NormalizeEmail(c.Email)
	p.add(err == nil && email == c.Email, "email", c.Email, "write an e-mail address in lower case")
	if err := identity.CheckKey(c.ID); err != nil {
		p.add(false, "id", c.ID, err.Error())
	}
	return errors.Join(p...)
}

// claimName is the document of an address's claim. Addresses have characters that names
// of documents have not.
func claimName(email string) string {
	sum := sha256.Sum256([]byte(email))
	return claimsFolder + hex.EncodeToString(sum[:16]) + ".yaml"
}

// mine says if the reader is the one whom a record names. id is empty in one that names
// only an address.
func (r Reader) mine(id, email string) bool {
	if id != "" {
		return id == r.ID
	}
	return r.address && ascii.EqualFold(email, r.Email)
}

// owns says if a deliverable is the reader's: theirs by name, or their team's.
func (r Reader) owns(d Deliverable) bool {
	return d.Owner != "" && (r.mine(d.OwnerID, d.Owner) || d.OwnerID == "" && slices.Contains(r.Groups, d.Owner))
}

// notes are those that the reader may see, without whose they are for the store.
func (r Reader) notes(notes []Note) []Note {
	notes = slices.DeleteFunc(slices.Clone(notes), func(n Note) bool { return n.Private && !r.mine(n.AuthorID, n.Author) })
	for i := range notes {
		notes[i].AuthorID = ""
	}
	return notes
}

func (r Reader) history(changes []Change) []Change {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return c.Private && !r.mine(c.ByID, c.By) })
	for i := range changes {
		changes[i].ByID = ""
	}
	return changes
}

// recognize finds out if what names only the reader's address is theirs, and claims it
// if nobody has. If that cannot be done now, it is nobody's: it stays where it is, and
// the next call tries again.
func (p *Portal) recognize(ctx context.Context, all contents, r Reader) Reader {
	r.address = false
	if id, claimed := all.claims[ascii.Lower(r.Email)]; claimed || r.ID == "" {
		r.address = claimed && id == r.ID
		return r
	}
	if !all.nameOnly(r.Email) {
		return r
	}
	if !r.ClaimsByEmail {
		if _, again := p.warned.LoadOrStore(r.Email, true); !again { // it is found again with each call
			p.warn(ctx, r, "what names only this address is not shown to this caller, as several issuers may speak for it, or oidc.legacy_issuer names another: set it to the issuer whose callers had the address", nil)
		}
		return r
	}
	id, err := p.claim(ctx, r)
	switch {
	case errors.Is(err, store.ErrReadOnly): // nobody can be given the address's records for good
		r.address = true
	case err != nil:
		p.warn(ctx, r, "what names only this address could not be claimed, and is shown to nobody", err)
	default:
		r.address = id == r.ID
	}
	return r
}

// claim gives the reader all that names only their address, unless somebody was faster.
// It says whose it is.
func (p *Portal) claim(ctx context.Context, r Reader) (id string, err error) {
	c := claim{Email: ascii.Lower(r.Email), ID: r.ID, At: p.Now().UTC()}
	if err := c.check(); err != nil {
		return "", err
	}
	name := claimName(c.Email)
	data, err := encode(p.Client, c)
	if err != nil {
		return "", err
	}
	_, err = p.Store.Write(ctx, name, data, "")
	if err == nil {
		p.changes.Add(1)
		p.Logger.InfoContext(ctx, "claimed all that names only this address", "caller", r.Email, "id", r.ID)
		return r.ID, nil
	}
	if !errors.Is(err, store.ErrConflict) {
		return "", err
	}
	// Somebody was faster, or it was this write, and its answer got lost.
	if data, _, err = p.Store.Read(ctx, name); err != nil {
		return "", err
	}
	doc := decode(p.Client, name, data)
	if doc.wrong != nil {
		return "", doc.wrong
	}
	return doc.claim.ID, nil
}

// nameOnly says if there is something that somebody with this address may own, and that
// names nobody but by the address.
func (all contents) nameOnly(email string) bool {
	inLog := func(l Log) bool {
		return slices.ContainsFunc(l.Notes, func(n Note) bool { return n.Private && n.AuthorID == "" && ascii.EqualFold(n.Author, email) }) ||
			slices.ContainsFunc(l.History, func(c Change) bool { return c.Private && c.ByID == "" && ascii.EqualFold(c.By, email) })
	}
	return slices.ContainsFunc(all.goals, func(g Goal) bool { return inLog(g.Log) }) ||
		slices.ContainsFunc(all.deliverables, func(d Deliverable) bool {
			return inLog(d.Log) || d.OwnerID == "" && ascii.EqualFold(d.Owner, email)
		})
}

func (p *Portal) warn(ctx context.Context, r Reader, what string, err error) {
	attrs := []any{"caller", r.Email, "id", r.ID, "store", p.Store.String()}
	if err != nil {
		attrs = append(attrs, "error", err.Error())
	}
	p.Logger.WarnContext(ctx, what, attrs...)
}

// checkOwnerID says what is wrong with a deliverable's owner_id.
func checkOwnerID(id, owner string) error {
	switch {
	case id == "":
		return nil
	case owner == "":
		return fmt.Errorf("owner_id: %.100q: write the owner's address as owner, too", id)
	}
	if err := identity.CheckKey(id); err != nil {
		return fmt.Errorf("owner_id: %.100q: %w", id, err)
	}
	return nil
}
