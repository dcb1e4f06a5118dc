package state

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a decision file: far above any real one, far below memory.
const maxFile = 64 << 20

// yamlFile reads a YAML file strictly and collects every fault with its place.
type yamlFile struct {
	name   string
	faults []error
}

// read returns the entries of the file's one top-level list.
func (f *yamlFile) read(r io.Reader, list string) []*yaml.Node {
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("the file is larger than %d MB", maxFile>>20)
	}
	if err != nil {
		f.faults = append(f.faults, fmt.Errorf("%s: %w", f.name, err))
		return nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(content)))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		f.syntax(err)
		return nil
	}
	if err := dec.Decode(&second); err == nil {
		f.fault(&second, "a second document; keep everything in the first")
		return nil
	} else if !errors.Is(err, io.EOF) {
		f.syntax(err)
		return nil
	}
	top := doc.Content[0]
	if top.Tag == "!!null" {
		return nil
	}
	var entries []*yaml.Node
	f.fields(top, map[string]func(*yaml.Node){list: func(n *yaml.Node) {
		if n.Tag == "!!null" {
			return
		}
		if n.Kind != yaml.SequenceNode {
			f.fault(n, "want a list under %s", list)
			return
		}
		entries = n.Content
	}})
	return entries
}

// syntax passes on a parser's message, which has the line; a column it never has.
func (f *yamlFile) syntax(err error) {
	f.faults = append(f.faults, fmt.Errorf("%s: %s", f.name, strings.TrimPrefix(err.Error(), "yaml: ")))
}

func (f *yamlFile) place(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", f.name, n.Line, n.Column)
}

func (f *yamlFile) fault(n *yaml.Node, format string, args ...any) {
	f.faults = append(f.faults, fmt.Errorf("%s: %w", f.place(n), fmt.Errorf(format, args...)))
}

func (f *yamlFile) err() error { return errors.Join(f.faults...) }

// fields hands each value of a mapping to the function of its key.
func (f *yamlFile) fields(n *yaml.Node, known map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		f.fault(n, "want keys out of %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		set, ok := known[key.Value]
		switch {
		case !ok || key.Kind != yaml.ScalarNode:
			f.fault(key, "unknown key %q: want one of %s", key.Value, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		case seen[key.Value]:
			f.fault(key, "the key %q is here twice", key.Value)
		case value.Kind == yaml.AliasNode:
			f.fault(value, "write the value out: aliases aren't read here")
		default:
			set(value)
		}
		seen[key.Value] = true
	}
}

// text takes a scalar as it is written, so an id 007 stays 007.
func (f *yamlFile) text(into *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Tag == "!!bool" || n.Tag == "!!binary" {
			f.fault(n, "want text; put it in quotes")
			return
		}
		*into = n.Value
	}
}

// time takes RFC 3339 or a date. A date means its end, in the location given: the
// last day that counts.
func (f *yamlFile) time(into *time.Time, in *time.Location, endOfDay bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if t, err := time.Parse(time.RFC3339Nano, n.Value); err == nil && n.Kind == yaml.ScalarNode {
			*into = micros(t)
			return
		}
		t, err := time.ParseInLocation(time.DateOnly, n.Value, in)
		if err != nil || n.Kind != yaml.ScalarNode {
			f.fault(n, "want a date such as 2027-03-31 or a time such as 2027-03-31T18:00:00Z, not %q", n.Value)
			return
		}
		if endOfDay {
			t = t.AddDate(0, 0, 1)
		}
		*into = micros(t)
	}
}

// writeYAML writes v with two spaces of indent under a comment of one line.
func writeYAML(w io.Writer, comment string, v any) error {
	if _, err := fmt.Fprintf(w, "# %s\n", comment); err != nil {
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return enc.Close()
}
