package collecttest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// Changing is one change to be made, undone, and looked at by others than the changer.
type Changing struct {
	access.Change
	// What tells it apart in the matrix, where the action doesn't: a group, by PUT.
	What string
	// Witness reads, by another client than the changer's, what the change is about. It must differ before and after the
	// change, and be the same again after undoing.
	Witness func(t testing.TB) string
}

// Changes makes each change and undoes it, as remediation does: look, apply, read back, apply again, undo, read back, undo
// again. It logs one row a change, and fails with what didn't hold.
func Changes(t *testing.T, system string, c collect.Changer, changes []Changing) {
	t.Helper()
	able, err := c.Abilities()
	if err != nil {
		t.Fatalf("%s can't be changed: %v", system, err)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "system\tchange\tapplied\tverified by another client\tundone\tverified again")
	for _, ch := range changes {
		name := string(ch.Action)
		if ch.Object.Kind == access.HolderEntitlement {
			name += " of " + string(ch.Object.Kind)
		}
		if ch.What != "" {
			name += ": " + ch.What
		}
		var row [4]string
		t.Run(name, func(t *testing.T) {
			ability, ok := able[ch.Action]
			if !ok {
				t.Fatalf("%s has no ability to %s", system, ch.Action)
			}
			row = changing(t, c, ability, ch)
		})
		fmt.Fprintf(w, "%s\t%s\t%s\n", system, name, strings.Join(row[:], "\t"))
	}
	w.Flush()
	t.Log("\n" + table.String())
}

// changing returns the row: applied, verified, undone, verified.
func changing(t *testing.T, c collect.Changer, ability access.Ability, ch Changing) (row [4]string) {
	t.Helper()
	ctx := t.Context()
	was := ch.Witness(t)
	before, err := c.Look(ctx, ch.Object)
	if err != nil {
		t.Fatalf("look before: %v", err)
	}
	if done, known := ch.Shows(before); known && done {
		t.Fatal("the change shows before it is made")
	}
	if err := c.May(ctx, ch.Change); err != nil {
		t.Fatalf("may: %v", err)
	}
	undo := ch.Change
	undo.Undo, undo.Before = true, &before
	if len(c.Native(ch.Change)) == 0 || ability.Undo && len(c.Native(undo)) == 0 {
		t.Error("no native command")
	}
	for range 2 {
		if err := c.Apply(ctx, ch.Change); err != nil {
			t.Fatalf("apply: %v", err)
		}
	}
	after, err := c.Look(ctx, ch.Object)
	if ch.Action == access.ActionDelete {
		if !errors.Is(err, access.ErrGone) {
			t.Fatalf("look after deleting: %v", err)
		}
	} else if err != nil {
		t.Fatalf("look after: %v", err)
	}
	if done, known := ch.Shows(after); ability.ReadBack && (!known || !done) && ch.Action != access.ActionDelete {
		t.Errorf("after it was made it doesn't show: done %v, known %v", done, known)
	}
	row[0] = "yes"
	now := ch.Witness(t)
	if now == was {
		t.Errorf("another client sees no difference: %s", now)
	} else {
		row[1] = "yes"
	}
	if !ability.Undo {
		row[2], row[3] = "can't be", "-"
		return row
	}
	for range 2 {
		if err := c.Apply(ctx, undo); err != nil {
			t.Fatalf("undo: %v", err)
		}
	}
	back, err := c.Look(ctx, ch.Object)
	if err != nil {
		t.Fatalf("look after undoing: %v", err)
	}
	if done, known := undo.Shows(back); ability.ReadBack && (!known || !done) {
		t.Errorf("after it was undone it doesn't show: done %v, known %v", done, known)
	}
	row[2] = "yes"
	if again := ch.Witness(t); again != was {
		t.Errorf("after undoing another client sees\n%s\nbefore it was\n%s", again, was)
	} else {
		row[3] = "yes"
	}
	return row
}
