package chdb

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// lockFile is the owner's claim on a folder. It holds the owner's process id and, while the owner serves, its socket.
type lockFile struct {
	mu sync.Mutex
	f  *os.File
}

func lock(dir string) (*lockFile, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		defer f.Close()
		return nil, owner(dir, f)
	}
	l := &lockFile{f: f}
	if err := l.record(""); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

func owner(dir string, f *os.File) *LockedError {
	e := &LockedError{Dir: dir}
	b, err := io.ReadAll(io.LimitReader(f, 8<<10))
	if err != nil {
		return e // who it is does not matter as much as that it is locked
	}
	pid, rest, _ := strings.Cut(string(b), "\n")
	e.PID, _ = strconv.Atoi(pid)
	e.Socket, _, _ = strings.Cut(rest, "\n")
	return e
}

// record writes who owns the folder and where it serves, in one write.
func (l *lockFile) record(socket string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf("%d\n%s\n", os.Getpid(), socket)
	if _, err := l.f.WriteAt([]byte(line), 0); err != nil {
		return err
	}
	return l.f.Truncate(int64(len(line)))
}

// release gives the folder up. The file stays: removing it would let two processes lock two files of one name.
func (l *lockFile) release() error {
	return l.f.Close()
}
