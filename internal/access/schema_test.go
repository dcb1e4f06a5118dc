package access

import (
	"strings"
	"testing"
)

func TestColumnsAreUnique(t *testing.T) {
	for _, kind := range SubjectKinds() {
		seen := map[string]string{}
		for _, c := range SchemaOf(kind).Columns() {
			if was, ok := seen[c.Name]; ok {
				t.Errorf("%s: column %s stands for both %s and %s", kind, c.Name, was, c.Node.Path)
			}
			seen[c.Name] = c.Node.Path
		}
		t.Logf("%s: %d columns", kind, len(seen))
	}
}

func TestLookup(t *testing.T) {
	root := SchemaOf(SubjectAccount).Root
	for path, want := range map[string]FieldType{
		"account.enabled": Bool, "person.days_since_end": Int, "grants.entitlement.id": String,
		"grants[].peer_share": Number, "source.coverage": StringMap,
	} {
		n := root.Lookup(path)
		if n == nil || n.Type != want {
			t.Errorf("Lookup(%q) = %+v, want type %s", path, n, want)
		}
	}
	for _, path := range []string{"account.emial", "account.enabled.x", "nothing"} {
		if n := root.Lookup(path); n != nil {
			t.Errorf("Lookup(%q) = %+v, want nil", path, n)
		}
	}
}

// An object that isn't required and isn't in an array needs a presence column: SQL NULL means that the key is absent,
// and a tuple can't be NULL.
func TestPresenceColumns(t *testing.T) {
	for _, kind := range SubjectKinds() {
		columns := map[string]Column{}
		for _, c := range SchemaOf(kind).Columns() {
			columns[c.Name] = c
		}
		var walk func(n *Node, nested bool)
		walk = func(n *Node, nested bool) {
			if n.Name != "" && !nested && (!n.Leaf() && !n.Required || n.Type == StringMap || n.Array && n.Leaf()) {
				if c, ok := columns[n.KnownColumn()]; !ok || !c.Known || c.Type != "Bool" {
					t.Errorf("%s: %s has no presence column", kind, n.Path)
				}
			}
			for _, f := range n.Fields {
				walk(f, nested || n.Array)
			}
		}
		walk(SchemaOf(kind).Root, false)
	}
}

func TestNestedTypes(t *testing.T) {
	for _, c := range SchemaOf(SubjectAccount).Columns() {
		if c.Nested != strings.HasPrefix(c.Type, "Array(") && c.Node.Path != "grants[].path[]" {
			t.Errorf("%s: nested %v, type %s", c.Name, c.Nested, c.Type)
		}
	}
}
