package cli

import (
	"strings"
	"testing"
)

func TestListFormats(t *testing.T) {
	l := list{columns: []string{"name", "note"}}
	l.add(map[string]string{"name": "a"}, "Zoë", "=HYPERLINK(1)")
	l.add(map[string]string{"name": "b"}, "bob\x1b[31m", "-12.50")
	for format, want := range map[string]string{
		"table": "name      note\nZoë       =HYPERLINK(1)\nbob [31m  -12.50\n",
		"csv":   "name,note\nZoë,'=HYPERLINK(1)\nbob\x1b[31m,-12.50\n",
		"json":  "[\n  {\n    \"name\": \"a\"\n  },\n  {\n    \"name\": \"b\"\n  }\n]\n",
	} {
		var out strings.Builder
		if err := l.print(&out, format, "none"); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s:\n%q\nwant\n%q", format, out.String(), want)
		}
	}
}

func TestEmptyList(t *testing.T) {
	l := list{columns: []string{"name"}}
	for format, want := range map[string]string{"table": "Nothing here.\n", "csv": "name\n", "json": "[]\n"} {
		var out strings.Builder
		if err := l.print(&out, format, "Nothing here."); err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", format, out.String(), err, want)
		}
	}
}

// One name that is far too long moves its own row and no other.
func TestTableWithALongName(t *testing.T) {
	l := list{columns: []string{"name", "note"}}
	l.add(nil, strings.Repeat("W", 200), "x")
	l.add(nil, "山田e\u0301", "y")
	var out strings.Builder
	if err := l.print(&out, "table", ""); err != nil {
		t.Fatal(err)
	}
	want := "name" + strings.Repeat(" ", 58) + "note\n" + strings.Repeat("W", 200) + "  x\n山田e\u0301" + strings.Repeat(" ", 57) + "y\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
