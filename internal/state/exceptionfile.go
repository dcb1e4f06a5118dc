package state

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// ImportOptions say how a file is read.
type ImportOptions struct {
	Name string // of the file, in error messages
	// Location is where a bare date's day ends. Default UTC.
	Location *time.Location
	// RemoveMissing also ends what stands in the database but not in the file.
	RemoveMissing bool
	// DryRun says what would be done, and does nothing.
	DryRun bool
}

func (o ImportOptions) location() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

// ImportReport says what an import did, by id.
type ImportReport struct {
	Added, Changed, Unchanged []string
	Removed                   []string // only with RemoveMissing
	Missing                   []string // stand in the database, not in the file, and were left alone
	Skipped                   []Skip   // entries of the file that no longer apply
	// Diff is what is added, changed and removed, of exceptions.
	Diff []ExceptionChange `json:",omitempty"`
}

// ExceptionChange is an exception before and after an import; nil: there is none.
type ExceptionChange struct{ Before, After *Exception }

// errDryRun undoes what a dry run did.
var errDryRun = errors.New("dry run")

// Skip is an entry of a file that was passed over.
type Skip struct {
	Place string // file:line:column
	Why   string
}

type exceptionYAML struct {
	ID         string       `yaml:"id,omitempty"`
	Finding    string       `yaml:"finding,omitempty"`
	Policy     string       `yaml:"policy,omitempty"`
	Subject    *subjectYAML `yaml:"subject,omitempty"`
	Source     string       `yaml:"source,omitempty"`
	Department string       `yaml:"department,omitempty"`
	Reason     string       `yaml:"reason"`
	By         string       `yaml:"by"`
	Ticket     string       `yaml:"ticket,omitempty"`
	Created    string       `yaml:"created,omitempty"`
	Expires    string       `yaml:"expires"`
}

type subjectYAML struct {
	Kind   string `yaml:"kind"`
	Source string `yaml:"source"`
	ID     string `yaml:"id"`
}

// ExportExceptions writes exceptions as a file that [State.ImportExceptions]
// reads back without a change, sorted so that a version control shows real
// differences only.
func ExportExceptions(w io.Writer, list []Exception) error {
	list = slices.Clone(list)
	sortExceptions(list)
	out := struct {
		Exceptions []exceptionYAML `yaml:"exceptions"`
	}{Exceptions: []exceptionYAML{}}
	for _, e := range list {
		y := exceptionYAML{ID: e.ID, Finding: e.Scope.Fingerprint, Policy: e.Scope.Policy, Source: e.Scope.Source, Department: e.Scope.Department,
			Reason: e.Reason, By: e.By, Ticket: e.Ticket, Created: e.Created.Format(time.RFC3339Nano), Expires: e.Expires.Format(time.RFC3339Nano)}
		if e.Scope.SubjectID != "" {
			y.Source, y.Subject = "", &subjectYAML{Kind: e.Scope.SubjectKind, Source: e.Scope.Source, ID: e.Scope.SubjectID}
		}
		out.Exceptions = append(out.Exceptions, y)
	}
	if err := writeYAML(w, "Findings accepted on purpose, each until a day.", out); err != nil {
		return fmt.Errorf("export exceptions: %w", err)
	}
	return nil
}

type placedException struct {
	Exception
	node *yaml.Node
}

func (f *yamlFile) exceptions(r io.Reader, in *time.Location) []placedException {
	var out []placedException
	for _, n := range f.read(r, "exceptions") {
		p := placedException{node: n}
		var subject *Scope
		before := len(f.faults)
		f.fields(n, map[string]func(*yaml.Node){
			"id":         f.text(&p.ID),
			"finding":    f.text(&p.Scope.Fingerprint),
			"policy":     f.text(&p.Scope.Policy),
			"source":     f.text(&p.Scope.Source),
			"department": f.text(&p.Scope.Department),
			"reason":     f.text(&p.Reason),
			"by":         f.text(&p.By),
			"ticket":     f.text(&p.Ticket),
			"created":    f.time(&p.Created, in, false),
			"expires":    f.time(&p.Expires, in, true),
			"subject": func(n *yaml.Node) {
				subject = &Scope{}
				f.fields(n, map[string]func(*yaml.Node){
					"kind": f.text(&subject.SubjectKind), "source": f.text(&subject.Source), "id": f.text(&subject.SubjectID),
				})
			},
		})
		switch {
		case subject == nil:
		case p.Scope.Source != "":
			f.fault(n, "give the source once, in the subject")
		case subject.SubjectKind == "" || subject.SubjectID == "":
			// Without its id it would become an exception for the whole source.
			f.fault(n, "a subject needs its kind, source and id")
		default:
			p.Scope.SubjectKind, p.Scope.Source, p.Scope.SubjectID = subject.SubjectKind, subject.Source, subject.SubjectID
		}
		if len(f.faults) == before {
			if err := p.Scope.validate(); err != nil {
				f.fault(n, "%w", err)
			}
		}
		out = append(out, p)
	}
	return out
}

// ImportExceptions brings the exceptions in force in line with a file, all of it
// or nothing. Entries are recognised by id, those without a known one by scope; a
// changed one keeps its id. Importing a file twice changes nothing the second
// time. What was revoked here stays revoked.
func (s *State) ImportExceptions(ctx context.Context, actor Actor, r io.Reader, o ImportOptions) (ImportReport, error) {
	f := &yamlFile{name: o.Name}
	file := f.exceptions(r, o.location())
	if err := f.err(); err != nil {
		return ImportReport{}, fmt.Errorf("import exceptions: %w", err)
	}
	var report ImportReport
	err := s.decide(ctx, "import exceptions", actor, func(d *decision) error {
		all, err := rows(d, scanException, selectExceptions)
		if err != nil {
			return err
		}
		sortExceptions(all)
		im := &exceptionImport{s: s, d: d, f: f, o: o, byID: map[string]Exception{}, live: map[string]Exception{}, seen: map[string]*yaml.Node{}}
		for _, e := range all {
			im.byID[e.ID] = e
			if e.Revoked.IsZero() && e.Expires.After(d.at) {
				im.live[e.Scope.key()] = e
			}
		}
		for _, p := range file {
			if err := im.entry(p); err != nil {
				return err
			}
		}
		if err := f.err(); err != nil {
			return err
		}
		if err := im.missing(all); err != nil {
			return err
		}
		report = im.report
		if o.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return ImportReport{}, err
	}
	return report, nil
}

type exceptionImport struct {
	s      *State
	d      *decision
	f      *yamlFile
	o      ImportOptions
	byID   map[string]Exception
	live   map[string]Exception  // by scope key
	seen   map[string]*yaml.Node // scope keys and ids of the file
	report ImportReport
}

// entry deals with one entry of the file. Its faults are collected; an error is
// the database's.
func (im *exceptionImport) entry(p placedException) error {
	key := p.Scope.key()
	for _, is := range []string{key, "id " + p.ID} {
		if first, twice := im.seen[is]; twice && is != "id " {
			im.f.fault(p.node, "it is here twice, first at %s", im.f.place(first))
			return nil
		}
		im.seen[is] = p.node
	}
	live, lives := im.live[key]
	have, known := im.byID[p.ID]
	switch {
	case known && have.Scope.key() != key:
		im.f.fault(p.node, "%s is the id of another exception: %s", p.ID, have.Scope)
		return nil
	case known && !have.Revoked.IsZero():
		im.skip(p, fmt.Sprintf("it was revoked on %s by %s; take its id away to accept it again", have.Revoked.Format(time.DateOnly), have.RevokedBy))
		return nil
	case !known && lives:
		have, known = live, true
	}
	if known && same(p.Exception, have) {
		im.report.Unchanged = append(im.report.Unchanged, have.ID)
		return nil
	}
	if !p.Expires.IsZero() && !p.Expires.After(im.d.at) {
		im.skip(p, "it expired on "+p.Expires.Format(time.RFC3339)+": give a later day, or take the entry out")
		return nil
	}
	if known {
		if lives && live.ID != have.ID {
			im.f.fault(p.node, "%s: %w (%s)", p.Scope, ErrExists, live.ID)
			return nil
		}
		p.ID = have.ID
		if p.By == "" {
			p.By = have.By
		}
		if p.Created.IsZero() {
			p.Created = have.Created
		}
	}
	e := im.s.completed(im.d, p.Exception)
	if err := im.s.validException(e, im.d.at); err != nil {
		im.f.fault(p.node, "%w", err)
		return nil
	}
	if known {
		im.report.Changed = append(im.report.Changed, e.ID)
		im.report.Diff = append(im.report.Diff, ExceptionChange{&have, &e})
		return changeException(im.d, e)
	}
	im.report.Added = append(im.report.Added, e.ID)
	im.report.Diff = append(im.report.Diff, ExceptionChange{nil, &e})
	return insertException(im.d, e)
}

func (im *exceptionImport) skip(p placedException, why string) {
	im.report.Skipped = append(im.report.Skipped, Skip{Place: im.f.place(p.node), Why: why})
}

// missing deals with what is in force without being in the file.
func (im *exceptionImport) missing(all []Exception) error {
	for _, e := range all {
		key := e.Scope.key()
		if im.live[key].ID != e.ID || im.seen[key] != nil {
			continue
		}
		if !im.o.RemoveMissing {
			im.report.Missing = append(im.report.Missing, e.ID)
			continue
		}
		was := e
		if err := revokeException(im.d, &e, "no longer in "+im.o.Name); err != nil {
			return err
		}
		im.report.Diff = append(im.report.Diff, ExceptionChange{&was, nil})
		im.report.Removed = append(im.report.Removed, e.ID)
	}
	return nil
}

// same tells whether the file says what stands; what the file leaves open counts
// as the same.
func same(file, have Exception) bool {
	return file.Reason == have.Reason && file.Ticket == have.Ticket && file.Expires.Equal(have.Expires) &&
		(file.By == "" || file.By == have.By) && (file.Created.IsZero() || file.Created.Equal(have.Created))
}
