package state

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

type joinYAML struct {
	ID      string       `yaml:"id"`
	Records []recordYAML `yaml:"records"`
	Reason  string       `yaml:"reason,omitempty"`
	By      string       `yaml:"by,omitempty"`
}

type recordYAML struct {
	Roster string `yaml:"roster"`
	ID     string `yaml:"id"`
}

// ExportPeople writes joins as a file that [State.ImportPeople] reads back without
// a change.
func ExportPeople(w io.Writer, list []Join) error {
	list = slices.Clone(list)
	sortJoins(list)
	out := struct {
		People []joinYAML `yaml:"people"`
	}{People: []joinYAML{}}
	for _, j := range list {
		y := joinYAML{ID: j.ID, Reason: j.Reason, By: j.By}
		for _, r := range j.Records {
			y.Records = append(y.Records, recordYAML{Roster: r.Source, ID: r.ID})
		}
		out.People = append(out.People, y)
	}
	if err := writeYAML(w, "Records in the rosters that are one person.", out); err != nil {
		return fmt.Errorf("export people: %w", err)
	}
	return nil
}

type placedJoin struct {
	Join
	node    *yaml.Node
	records map[Ref]*yaml.Node
}

func (f *yamlFile) people(r io.Reader) []placedJoin {
	var out []placedJoin
	ids := map[string]*yaml.Node{}
	owners := map[Ref]*yaml.Node{}
	for _, n := range f.read(r, "people") {
		p := placedJoin{node: n, records: map[Ref]*yaml.Node{}}
		before := len(f.faults)
		f.fields(n, map[string]func(*yaml.Node){
			"id":     f.text(&p.ID),
			"reason": f.text(&p.Reason),
			"by":     f.text(&p.By),
			"records": func(n *yaml.Node) {
				if n.Kind != yaml.SequenceNode {
					f.fault(n, "want a list of records, each with roster and id")
					return
				}
				for _, n := range n.Content {
					var rec Ref
					f.fields(n, map[string]func(*yaml.Node){"roster": f.text(&rec.Source), "id": f.text(&rec.ID)})
					if first, taken := owners[rec]; taken {
						f.fault(n, "record %s is here twice, first at %s", rec, f.place(first))
						continue
					}
					owners[rec], p.records[rec] = n, n
					p.Records = append(p.Records, rec)
				}
			},
		})
		slices.SortFunc(p.Records, Ref.compare)
		if first, taken := ids[p.ID]; taken {
			f.fault(n, "the id %s is here twice, first at %s", p.ID, f.place(first))
		}
		ids[p.ID] = n
		if len(f.faults) == before {
			if err := p.validate(); err != nil {
				f.fault(n, "%w", err)
			}
		}
		out = append(out, p)
	}
	return out
}

// ImportPeople brings the joins in line with a file, all of it or nothing. Entries
// are recognised by id. A record that two of them claim, or that belongs to a join
// outside the file, is refused with its place.
func (s *State) ImportPeople(ctx context.Context, actor Actor, r io.Reader, o ImportOptions) (ImportReport, error) {
	f := &yamlFile{name: o.Name}
	file := f.people(r)
	if err := f.err(); err != nil {
		return ImportReport{}, fmt.Errorf("import people: %w", err)
	}
	var report ImportReport
	err := s.decide(ctx, "import people", actor, func(d *decision) error {
		report = ImportReport{}
		have, err := loadJoins(d.ctx, d.Tx)
		if err != nil {
			return err
		}
		left := maps.Clone(have)
		var write []Join
		for _, p := range file {
			old, known := have[p.ID]
			delete(left, p.ID)
			switch {
			case known && slices.Equal(old.Records, p.Records) && old.Reason == p.Reason && (p.By == "" || p.By == old.By):
				report.Unchanged = append(report.Unchanged, p.ID)
				continue
			case known:
				report.Changed = append(report.Changed, p.ID)
				if err := dropJoin(d, p.ID); err != nil {
					return err
				}
			default:
				report.Added = append(report.Added, p.ID)
			}
			write = append(write, completedJoin(d, p.Join))
		}
		for _, id := range slices.Sorted(maps.Keys(left)) {
			if !o.RemoveMissing {
				report.Missing = append(report.Missing, id)
				continue
			}
			if err := partPeople(d, id, "no longer in "+o.Name); err != nil {
				return err
			}
			report.Removed = append(report.Removed, id)
			delete(left, id)
		}
		f.claimed(file, left)
		if err := f.err(); err != nil {
			return err
		}
		for _, j := range write {
			if err := insertJoin(d, j); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return ImportReport{}, err
	}
	return report, nil
}

// claimed reports the records of the file that a join outside it holds.
func (f *yamlFile) claimed(file []placedJoin, others map[string]Join) {
	owner := map[Ref]string{}
	for id, j := range others {
		for _, r := range j.Records {
			owner[r] = id
		}
	}
	for _, p := range file {
		for _, r := range p.Records {
			if id, taken := owner[r]; taken {
				f.fault(p.records[r], "record %s belongs to %s, which is not in the file: %w", r, id, ErrExists)
			}
		}
	}
}
