package reports

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
)

func TestTextFitsItsWidth(t *testing.T) {
	d := company(40)
	d.Company = strings.Repeat("東京電力", 30)
	for i := range d.Inputs {
		d.Inputs[i].Name = strings.Repeat("very-long-name-without-a-blank", 5)
	}
	for _, width := range []int{0, 40, 60, 80, 132} {
		var out bytes.Buffer
		if err := mustNew(t, d).Text(&out, TextOptions{Width: width}); err != nil {
			t.Fatal(err)
		}
		most := max(width, 60)
		if width == 0 {
			most = 80
		}
		for line := range strings.Lines(out.String()) {
			if n := Columns(strings.TrimSuffix(line, "\n")); n > most {
				t.Errorf("width %d: a line has %d columns: %s", width, n, line)
			}
		}
	}
}

func TestTextIsColouredOnlyWhenAsked(t *testing.T) {
	var plain, coloured bytes.Buffer
	r := mustNew(t, company(1))
	if err := r.Text(&plain, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Text(&coloured, TextOptions{Color: true}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Error("escape sequences without Color")
	}
	if !strings.Contains(coloured.String(), "\x1b[1;31m!! QUARANTINED Salesforce") {
		t.Error("the alarm is not in red")
	}
}

func TestTextLetsNothingSteerTheTerminal(t *testing.T) {
	var out bytes.Buffer
	if err := mustNew(t, hostile(company(1), nasty)).Text(&out, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "</script>") {
		t.Fatal("the hostile names are not in the summary: this test shows nothing")
	}
	for _, r := range out.String() {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Fatalf("%U reaches the terminal", r)
		}
	}
}
