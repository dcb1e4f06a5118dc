package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/store"
)

// KeepsRosters refuses a run that lacks a roster of the run before, unless it is retired: nobody who stands only there would be
// known to have left, and all their accounts would belong to nobody. Of the options it needs Sources, Retired and Store.
func KeepsRosters(ctx context.Context, o Options) error {
	last, err := o.Store.LatestRun(ctx, time.Time{})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	before, err := o.Store.Inputs(ctx, last.ID)
	if err != nil {
		return err
	}
	for _, in := range before {
		stays := slices.ContainsFunc(o.Sources, func(s Source) bool { return s.UID == in.Source && s.Roster })
		if in.Roster && in.Snapshot != 0 && !stays && !slices.Contains(o.Retired, in.Source) {
			return fmt.Errorf("%s is the roster of run %d and none any more: without it nobody in it is known to have left, and their accounts belong to nobody. "+
				"Put it back, or say `retired: [%s]` in lapse.yaml if it is gone for good", in.Source, last.ID, in.Source)
		}
	}
	return nil
}
