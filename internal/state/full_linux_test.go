package state

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSQLiteFullDisk(t *testing.T) {
	dir := t.TempDir()
	mounted := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m") == nil
	if mounted {
		t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	s, _ := open(t, Options{Path: filepath.Join(dir, "state.db")})
	more := func() error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m") }
	if !mounted { // no right to mount: let SQLite itself run out of pages
		if _, err := s.w.Exec("PRAGMA max_page_count = 120"); err != nil {
			t.Fatal(err)
		}
		more = func() error {
			_, err := s.w.Exec("PRAGMA max_page_count = 100000")
			return err
		}
	}
	var made int64
	var err error
	e := accepted(Scope{}, 30)
	e.Reason = strings.Repeat("because ", 300)
	for i := 0; i < 2000 && err == nil; i++ {
		e.Scope = accountScope("DOR-01", i)
		if _, err = s.AddException(t.Context(), alice, e); err == nil {
			made++
		}
	}
	wantErr(t, err, "the disk is full", "nothing was recorded", "free space on the file system of "+dir)
	if n := whole(t, s); n != made {
		t.Errorf("%d entries after %d decisions", n, made)
	}
	if err := more(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddException(t.Context(), alice, e); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if n := whole(t, s); n != made+1 {
		t.Errorf("%d entries after %d decisions", n, made+1)
	}
	t.Logf("full after %d decisions, tmpfs %v", made, mounted)
}
