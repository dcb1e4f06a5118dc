package collect

import (
	"context"

	"github.com/lapse-audit/lapse/internal/access"
)

// Changer carries out changes in one source, with a credential of its own: that for reading changes nothing. It may keep a
// connection, and then to one server only, so that what was written is read back where it was written. It is used from
// several goroutines.
type Changer interface {
	// Abilities are the actions that the source knows, with its configuration. Its error says why nothing can be changed
	// in it, and wraps access.ErrCannot if no credential for writing was given.
	Abilities() (map[access.Action]access.Ability, error)
	// Look reads one object now, by its id. An object that isn't there is access.ErrGone.
	Look(ctx context.Context, o access.Object) (access.Live, error)
	// May says, without changing anything, whether the credential may make a change: nil if so or if that can't be
	// known, access.ErrRefused with the reason if not.
	May(ctx context.Context, c access.Change) error
	// Apply makes a change, or undoes it. It sends it once. Making what is so already is no error. An error wraps
	// access.ErrRefused if the source said no and changed nothing, access.ErrGone if the object isn't there,
	// access.ErrCannot if the source has no way to do it, access.ErrUnsure if it was sent and no answer came; any other
	// error means that it wasn't sent.
	Apply(ctx context.Context, c access.Change) error
	// Native are the commands by which a person makes the change with the system's own tools, one a line. They hold no
	// secrets.
	Native(c access.Change) []string
	Close() error
}
