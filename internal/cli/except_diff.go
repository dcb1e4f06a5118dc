package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// printExceptionDiff says what an import adds (+), changes (~) and ends (-).
func printExceptionDiff(w io.Writer, diff []state.ExceptionChange, zone *time.Location) error {
	day := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04 MST") }
	var b strings.Builder
	for _, c := range diff {
		switch {
		case c.Before == nil:
			fmt.Fprintf(&b, "+ %s until %s, by %s: %s\n", printable(c.After.Scope.String()), day(c.After.Expires), printable(c.After.By), printable(c.After.Reason))
		case c.After == nil:
			fmt.Fprintf(&b, "- %s %s until %s, by %s: %s\n", c.Before.ID, printable(c.Before.Scope.String()), day(c.Before.Expires), printable(c.Before.By), printable(c.Before.Reason))
		default:
			fmt.Fprintf(&b, "~ %s %s\n", c.After.ID, printable(c.After.Scope.String()))
			for _, f := range [][3]string{{"until", day(c.Before.Expires), day(c.After.Expires)}, {"since", day(c.Before.Created), day(c.After.Created)},
				{"by", c.Before.By, c.After.By}, {"reason", c.Before.Reason, c.After.Reason}, {"ticket", c.Before.Ticket, c.After.Ticket}} {
				if f[1] != f[2] {
					fmt.Fprintf(&b, "    %s: %s -> %s\n", f[0], printable(f[1]), printable(f[2]))
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
