package state

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Verification is what checking a ledger found.
type Verification struct {
	Entries int64  // entries read
	Head    Anchor // the last of them
	Anchor  *Anchor
	Faults  []Fault // in order of Seq; at most maxFaults
}

// Fault is one thing that is wrong with the ledger.
type Fault struct {
	Seq  int64 // the entry it shows at, 0 for the ledger as a whole
	What string
}

const maxFaults = 100

// OK tells that nothing was wrong. Without an anchor that leaves a cut tail and a
// ledger rewritten as a whole undetected; see [Verification.String].
func (v Verification) OK() bool { return len(v.Faults) == 0 }

// String is the result in words, one line a fault.
func (v Verification) String() string {
	var b strings.Builder
	if v.OK() {
		fmt.Fprintf(&b, "the ledger is whole: %d entries, head %d %s", v.Entries, v.Head.Seq, v.Head.Hash)
	} else {
		faults := "1 fault"
		if len(v.Faults) != 1 {
			faults = fmt.Sprintf("%d faults", len(v.Faults))
		}
		fmt.Fprintf(&b, "the ledger was tampered with or damaged: %d entries, %s", v.Entries, faults)
		if len(v.Faults) == maxFaults {
			b.WriteString(" or more")
		}
	}
	if v.Anchor != nil {
		fmt.Fprintf(&b, "\nchecked against the anchor %d %s", v.Anchor.Seq, v.Anchor.Hash)
	} else {
		b.WriteString("\nno anchor was given: a cut tail or a ledger rewritten as a whole would not show")
	}
	for _, f := range v.Faults {
		if f.Seq > 0 {
			fmt.Fprintf(&b, "\nentry %d: %s", f.Seq, f.What)
		} else {
			fmt.Fprintf(&b, "\n%s", f.What)
		}
	}
	return b.String()
}

func (v *Verification) fault(seq int64, format string, args ...any) {
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, Fault{Seq: seq, What: fmt.Sprintf(format, args...)})
	}
}

// see checks one entry against those before it.
func (v *Verification) see(e Entry) {
	if v.Entries == 0 && v.Head == (Anchor{}) {
		v.Head = genesis
	}
	switch next := v.Head.Seq + 1; {
	case e.Seq == next+1:
		v.fault(e.Seq, "entry %d before it is missing", next)
	case e.Seq > next:
		v.fault(e.Seq, "entries %d to %d before it are missing", next, e.Seq-1)
	case e.Seq < next:
		v.fault(e.Seq, "it stands after entry %d", v.Head.Seq)
	case e.Prev != v.Head.Hash:
		v.fault(e.Seq, "it doesn't follow entry %d as that stands: one of the two was altered or moved", v.Head.Seq)
	}
	if e.sum() != e.Hash {
		v.fault(e.Seq, "its hash doesn't fit its content: it was altered")
	}
	if v.Anchor != nil && e.Seq == v.Anchor.Seq && e.Hash != v.Anchor.Hash {
		v.fault(e.Seq, "it differs from the anchor: the ledger was rewritten here or before")
	}
	v.Entries++
	v.Head = Anchor{Seq: e.Seq, Hash: e.Hash}
}

func (v *Verification) end() {
	if v.Entries == 0 {
		v.Head = genesis
	}
	if v.Anchor != nil && v.Anchor.Seq > v.Head.Seq {
		v.fault(0, "the tail is cut: the anchor was entry %d, the last entry now is %d", v.Anchor.Seq, v.Head.Seq)
	}
	if v.Anchor != nil && v.Anchor.Seq == 0 && v.Anchor.Hash != genesis.Hash {
		v.fault(0, "the anchor's hash is not that of an empty ledger")
	}
}

// VerifyLedger reads the whole ledger and checks that no entry was altered,
// removed or moved, and that the decisions in force are the ones the ledger
// tells of. With an anchor noted earlier it also catches a cut tail and a
// rewriting. What is wrong is in the result; an error means that it couldn't be
// checked.
func (s *State) VerifyLedger(ctx context.Context, anchor *Anchor) (Verification, error) {
	v := Verification{Anchor: anchor}
	err := s.reading(ctx, func(tx *sql.Tx) error {
		told := records{}
		err := entries(ctx, tx, 0, func(e Entry) error {
			v.see(e)
			told.apply(e)
			return nil
		})
		if err != nil {
			return err
		}
		v.end()
		var head Anchor
		if err := tx.QueryRowContext(ctx, "SELECT seq, hash FROM ledger_head WHERE one = 1").Scan(&head.Seq, &head.Hash); err != nil {
			return err
		}
		if head != v.Head {
			v.fault(0, "the last entry was %d, but the ledger ends with %d: entries were removed or added behind its back", head.Seq, v.Head.Seq)
		}
		return s.compare(ctx, tx, told, &v)
	})
	if err != nil {
		return v, fmt.Errorf("verify ledger of %s: %w", s.name, s.explain(ctx, err))
	}
	return v, nil
}

// VerifyExport checks a file written by [State.Export].
func VerifyExport(r io.Reader, anchor *Anchor) (Verification, error) {
	v := Verification{Anchor: anchor}
	dec := json.NewDecoder(bufio.NewReader(r))
	dec.DisallowUnknownFields()
	for {
		var e Entry
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			v.end()
			return v, nil
		} else if err != nil {
			return v, fmt.Errorf("verify ledger export: entry %d: %w", v.Entries+1, err)
		}
		v.see(e)
	}
}
