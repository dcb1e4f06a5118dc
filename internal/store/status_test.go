package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestStatus(t *testing.T) {
	s := openEmbedded(t)
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if st.Snapshots != 0 || !st.Oldest.IsZero() || st.Schema != SchemaVersion() || st.Engine == "" || st.Holder != HolderSelf || st.Free == 0 {
		t.Errorf("status of a new store: %+v", st)
	}
	for i, status := range []SnapshotStatus{Accepted, Quarantined} {
		w := begin(t, s, "s", night.AddDate(0, 0, i))
		put(t, w, access.Account{ID: "a"})
		publish(t, w, status)
	}
	begin(t, s, "s", night)
	if st, err = s.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st.Snapshots != 2 || !st.Oldest.Equal(night) || !st.Newest.Equal(night.AddDate(0, 0, 1)) || st.Unpublished != 1 {
		t.Errorf("status: %+v", st)
	}
	var rows uint64
	for _, table := range st.Tables {
		if table.Name == "accounts" {
			rows = table.Rows
		}
	}
	if rows != 2 || st.Bytes == 0 {
		t.Errorf("accounts has %d rows, all have %d bytes", rows, st.Bytes)
	}
}

func TestBackup(t *testing.T) {
	s := openEmbedded(t)
	w := begin(t, s, "s", night)
	put(t, w, access.Account{ID: "a", Attributes: map[string]string{"k": "v"}})
	snap := publish(t, w, Accepted)
	dir := filepath.Join(t.TempDir(), "it's", "a backup")
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	err := s.Backup(t.Context(), dir)
	if exception(err, 318) && os.Getenv("CI") != "true" {
		t.Skip("this engine may not write backups: it was started without --backups.allowed_path")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), dir); err == nil {
		t.Error("a second backup went to the same folder")
	}
	if err := s.Restore(t.Context(), dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("restored over facts: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openEmbedded(t)
	if err := s.Restore(t.Context(), filepath.Dir(dir)); err == nil {
		t.Error("restored from a folder without a backup")
	}
	if err := s.Restore(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if got := gather(t, s.FullAccounts(t.Context(), "s", snap.ID)); len(got) != 1 || got[0].Attributes["k"] != "v" {
		t.Errorf("restored accounts: %+v", got)
	}
	w = begin(t, s, "s", night) // numbers go on
	if w.ID() <= snap.ID {
		t.Errorf("snapshot %d follows %d", w.ID(), snap.ID)
	}
	put(t, w, access.Account{ID: "b"})
	publish(t, w, Accepted)
}
