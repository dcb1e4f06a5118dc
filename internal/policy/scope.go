package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// coverageSignals are the signals that collection measures.
var coverageSignals = []string{"approved", "created", "department", "email", "employee_id", "enabled", "end_date",
	"entitlement_privileged", "expiry", "grants", "interactive_login", "kind", "last_login", "last_used", "manager",
	"mfa", "owner", "password", "privileged", "reviewed", "seats", "sponsor", "start_date", "status"}

const coveragePrefix = "coverage."

// scope reads path: constant and path: [constants].
func (d *describer) scope(n *yaml.Node) []Condition {
	if n == nil {
		return nil
	}
	d.mapping(n, "scope", nil)
	var out []Condition
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		node, inArray := d.path(k, k.Value)
		if node == nil {
			continue
		}
		if inArray || node.Array || !node.Leaf() || node.Type == access.StringMap {
			d.faultNode(k, "scope %s is not a single value: name a field such as account.kind", k.Value)
			continue
		}
		values := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			values = v.Content
		}
		c := Condition{Path: k.Value}
		for _, e := range values {
			if value := d.constant(e, node, "scope "+k.Value); value != nil {
				c.Values = append(c.Values, value)
			}
		}
		if len(values) == 0 {
			d.faultNode(k, "scope %s allows nothing: name at least one value", k.Value)
		}
		out = append(out, c)
	}
	return out
}

// constant reads a value that a field of the schema can have; it returns nil after a fault.
func (d *describer) constant(n *yaml.Node, node *access.Node, what string) any {
	var v any
	if n.Kind != yaml.ScalarNode || n.Decode(&v) != nil {
		d.faultNode(n, "%s is not a single value", what)
		return nil
	}
	switch v := v.(type) {
	case bool:
		if node.Type == access.Bool {
			return v
		}
	case string:
		if node.Type == access.String {
			if node.Enum != nil && !slices.Contains(node.Enum, v) {
				d.faultNode(n, "%s is never %q%s", what, v, didYouMean(v, node.Enum))
				return nil
			}
			return v
		}
	case int:
		if node.Type == access.Int {
			return int64(v)
		}
		if node.Type == access.Number {
			return float64(v)
		}
	case float64:
		if node.Type == access.Number {
			return v
		}
	}
	d.faultNode(n, "%s is of type %s: %s is none", what, node.Type, n.Value)
	return nil
}

// needs reads a list of paths, each with alternatives.
func (d *describer) needs(n *yaml.Node) []Need {
	var out []Need
	d.texts(n, "needs", func(e *yaml.Node) {
		var need Need
		for path := range strings.SplitSeq(e.Value, "|") {
			path = strings.TrimSpace(path)
			need = append(need, path)
			if signal, ok := strings.CutPrefix(path, coveragePrefix); ok {
				if d.schema.Root.Lookup("source.coverage") == nil {
					d.faultNode(e, "need %s: a subject %s has no source", path, d.schema.Kind)
				} else if !slices.Contains(coverageSignals, signal) {
					d.faultNode(e, "need %s: there is no signal %s%s", path, signal, didYouMean(signal, coverageSignals))
				}
				continue
			}
			d.path(e, path)
		}
		out = append(out, need)
	})
	return out
}

// path finds a path of the subject and tells whether it leads through an array; it returns nil after a fault.
func (d *describer) path(at *yaml.Node, path string) (node *access.Node, inArray bool) {
	node, inArray, message := findPath(d.schema, strings.Split(path, "."))
	if message != "" {
		d.faultNode(at, "%s", message)
	}
	return node, inArray
}

// findPath finds a node of the schema by its path, or says what is wrong with the path. What lies in a map is the map.
func findPath(schema *access.Schema, path []string) (node *access.Node, inArray bool, fault string) {
	node = schema.Root
	for i, name := range path {
		if node.Type == access.StringMap && i > 0 {
			return node, inArray, ""
		}
		inArray = inArray || node.Array
		next := node.Field(strings.TrimSuffix(name, "[]"))
		if next == nil {
			parent := "subject " + string(schema.Kind)
			if i > 0 {
				parent = strings.Join(path[:i], ".")
			}
			var names []string
			for _, f := range node.Fields {
				names = append(names, f.Name)
			}
			return nil, false, parent + " has no field " + name + didYouMean(name, names)
		}
		node = next
	}
	return node, inArray, ""
}
