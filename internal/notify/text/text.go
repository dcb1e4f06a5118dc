// Package text writes each message into a file of its own: for companies without a messenger, and to try out who would be told
// what.
package text

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lapse-audit/lapse/internal/notify"
)

// Channel writes into a folder. A message's file is named by its key: the same message twice is one file.
type Channel struct{ dir string }

// New returns the channel that writes into a folder, which it makes when it is first needed.
func New(dir string) *Channel { return &Channel{dir: dir} }

// Name implements [notify.Channel].
func (c *Channel) Name() string { return "text" }

func (c *Channel) path(m notify.Message) string { return filepath.Join(c.dir, m.Key+".txt") }

// Send implements [notify.Channel].
func (c *Channel) Send(_ context.Context, m notify.Message) (notify.Receipt, error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return notify.Receipt{}, err
	}
	return c.receipt(m), c.write(m)
}

func (c *Channel) receipt(m notify.Message) notify.Receipt {
	return notify.Receipt{Channel: c.Name(), Place: c.dir, IDs: []string{m.Key}}
}

// write puts the whole file in its place at once.
func (c *Channel) write(m notify.Message) error {
	var b bytes.Buffer
	if err := notify.WriteText(&b, m); err != nil {
		return err
	}
	part := c.path(m) + ".part"
	if err := os.WriteFile(part, b.Bytes(), 0o600); err != nil {
		return err
	}
	if err := os.Rename(part, c.path(m)); err != nil {
		return fmt.Errorf("message %s: %w", m.Key, err)
	}
	return nil
}

// Find implements [notify.Channel].
func (c *Channel) Find(_ context.Context, m notify.Message) (notify.Receipt, bool, error) {
	switch _, err := os.Stat(c.path(m)); {
	case errors.Is(err, fs.ErrNotExist):
		return notify.Receipt{}, false, nil
	case err != nil:
		return notify.Receipt{}, false, err
	}
	return c.receipt(m), true, nil
}

// Update implements [notify.Channel]. A file that somebody has taken away stays away.
func (c *Channel) Update(ctx context.Context, _ notify.Receipt, m notify.Message) error {
	if _, there, err := c.Find(ctx, m); err != nil || !there {
		return err
	}
	return c.write(m)
}
