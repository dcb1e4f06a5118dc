package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/state"
)

func newReviewRemind(g *global) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "remind NAME",
		Short: "Bring a review up to date, and tell whoever has something to decide",
		Long: `Settle what nobody needs to decide any more, give what waits for somebody who has left or is away to the next in line, and send
what is due: each reviewer hears of a review when it starts, on the days of notify.remind_days, and when it is due, and not twice
for one of these. 'lapse notify send' does the same for all reviews. Where nobody is asked by messages yet, the worklists are
'lapse review show NAME --reviewer PERSON'.`,
		Args: cobra.ExactArgs(1),
		RunE: withState(g, func(cmd *cobra.Command, args []string, a *app.App, _ *state.State) error {
			actor := state.Actor{ID: g.actor(by)}
			r, err := a.RefreshReview(cmd.Context(), actor, args[0])
			if err != nil {
				return fmt.Errorf("review remind: %w", err)
			}
			for _, s := range r.Settled {
				fmt.Fprintf(g.sys.Stderr, "item %d needs no decision: %s\n", s.N, s.Why)
			}
			if r.Moved > 0 {
				fmt.Fprintf(g.sys.Stderr, "%d items were given to the next in line: their reviewer can't be asked any more\n", r.Moved)
			}
			f, err := a.Review(cmd.Context(), args[0])
			if err != nil {
				return fmt.Errorf("review remind: %w", err)
			}
			if err := printProgress(cmd.Context(), g, a, f); err != nil {
				return err
			}
			if !a.Reaches() {
				fmt.Fprintln(g.sys.Stderr, "nothing is sent: lapse.yaml sets no channel up (notify)")
				return nil
			}
			out, err := a.Notify(cmd.Context(), actor)
			if errors.Is(err, app.ErrNotStarted) {
				fmt.Fprintf(g.sys.Stderr, "nothing is sent: %v\n", err)
				return nil
			}
			if err != nil {
				return fmt.Errorf("review remind: %w", err)
			}
			_, err = fmt.Fprintln(g.sys.Stderr, notified(out))
			return err
		}),
	}
	cmd.Flags().StringVar(&by, "by", "", byUsage)
	return cmd
}
