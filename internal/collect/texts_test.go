package collect

import (
	"fmt"
	"strings"
	"testing"
)

// Texts come back as they were, also those that are longer than a block or lie across two.
func TestTexts(t *testing.T) {
	var all Texts
	var want []string
	for i := range 3 * textBlock {
		s := fmt.Sprint("text ", i)
		switch {
		case i%7 == 0:
			s = ""
		case i%50_000 == 1:
			s = strings.Repeat(s, textBlock/2)
		}
		all.Add(s)
		want = append(want, s)
	}
	size := 0
	for i, s := range want {
		if got, ok := all.At(i); !ok || got != s {
			t.Fatalf("text %d is %.40q, want %.40q", i, got, s)
		}
		size += len(s) + 4
	}
	for _, i := range []int{-1, len(want)} {
		if _, ok := all.At(i); ok {
			t.Errorf("there is a text %d", i)
		}
	}
	if all.Size() != size {
		t.Errorf("size %d, want %d", all.Size(), size)
	}
}
