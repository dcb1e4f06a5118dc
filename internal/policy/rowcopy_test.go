package policy

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// What goes to another process and back, and what is kept beyond its step, is the very row.
func TestRowsAreCopiedWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, kind := range access.SubjectKinds() {
		for range 50 {
			row := rowOf(t, kind, randomDoc(r, access.SchemaOf(kind).Root, 0.3))
			data, err := access.MarshalRow(row)
			if err != nil {
				t.Fatal(err)
			}
			back, err := access.UnmarshalRow(kind, data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(access.Document(kind, row), access.Document(kind, back)); diff != "" {
				t.Fatalf("%s, there and back:\n%s", kind, diff)
			}
			kept := row.Clone()
			for i, v := range row { // the reader's own is overwritten
				switch v := v.(type) {
				case *string:
					if v != nil {
						*v = "overwritten"
					}
				case []string:
					for j := range v {
						v[j] = "overwritten"
					}
				}
				row[i] = nil
			}
			if diff := cmp.Diff(access.Document(kind, back), access.Document(kind, kept)); diff != "" {
				t.Fatalf("%s, kept:\n%s", kind, diff)
			}
		}
	}
}
