package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/collect"
)

// maxYAML is the size of a list that people write by hand.
const maxYAML = 16 << 20

// yaml reads a list of mappings, at Rows in the document or at its top.
func (r *reader) yaml(ctx context.Context, stream io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(&boundedReader{ctx: ctx, r: stream}, maxYAML+1))
	if err != nil {
		return r.source.failed(ctx, err)
	}
	if len(data) > maxYAML {
		return r.errorf(0, "has more than %d bytes: YAML is for lists that are written by hand; export JSON or CSV", maxYAML)
	}
	d := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case err == io.EOF:
		return r.errorf(0, "is empty")
	case err != nil:
		return r.errorf(0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		return r.errorf(0, "more than one YAML document: keep one")
	}
	n := doc.Content[0]
	for name := range strings.SplitSeq(r.source.table.Rows, ".") {
		if name == "" {
			continue
		}
		i := -1
		if n.Kind == yaml.MappingNode {
			i = slices.IndexFunc(n.Content, func(c *yaml.Node) bool { return c.Value == name })
		}
		if i < 0 || i%2 != 0 {
			return r.errorf(0, "rows: there is no %q in the document", r.source.table.Rows)
		}
		n = n.Content[i+1]
	}
	return r.yamlRows(ctx, n)
}

// yamlRows hands on the items of a list. A key that stands for nothing is an error where no columns are named: in a list
// that is written by hand it is a slip.
func (r *reader) yamlRows(ctx context.Context, list *yaml.Node) error {
	if list.Kind != yaml.SequenceNode {
		return r.errorf(int64(list.Line), "want a list")
	}
	o := r.object()
	r.source.rows = 0
	for _, item := range list.Content {
		if err := ctx.Err(); err != nil {
			return err
		}
		line := int64(item.Line)
		if item.Kind != yaml.MappingNode {
			return r.errorf(line, "want a mapping such as {name: value}")
		}
		top, err := r.yamlItem(item)
		if err != nil {
			return r.errorf(line, "%w", err)
		}
		r.source.rows++
		column, reason, err := o.fill(top)
		if err != nil {
			return r.errorf(line, "%w", err)
		}
		if i, bad := r.invalid(o.cells); reason == "" && i >= 0 {
			column, reason = r.columns[i].name, bad
		}
		if reason != "" {
			err = r.reject(collect.Rejection{File: r.source.name, Line: line, Column: column, Reason: reason})
		} else {
			err = r.do(line, o.cells)
		}
		if err != nil {
			return err
		}
	}
	return r.complete(o)
}

func (r *reader) yamlItem(n *yaml.Node) (map[string]any, error) {
	v, err := yamlValue(n, 0)
	if err != nil {
		return nil, err
	}
	top := v.(map[string]any)
	if len(r.source.table.Columns) > 0 {
		return top, nil
	}
	var known []string
	for _, c := range r.columns {
		if c.auto {
			known = append(known, c.name)
		}
	}
	for key := range top {
		if !slices.ContainsFunc(known, func(name string) bool { return plain(name) == plain(key) }) {
			return nil, fmt.Errorf("unknown key %q%s", key, suggest(key, known))
		}
	}
	return top, nil
}

// yamlValue is a value in which scalars are texts as they are written: 57.00 stays 57.00.
func yamlValue(n *yaml.Node, depth int) (any, error) {
	switch {
	case depth > 20:
		return nil, errors.New("is nested too deeply")
	case n.Kind == yaml.AliasNode:
		return nil, errors.New("an alias is not followed here: write the value")
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil, nil
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := yamlValue(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}
	m := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("the key %q stands already in the same item", key)
		}
		v, err := yamlValue(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		m[key] = v
	}
	return m, nil
}
