//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "my.so")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := Find(file); err != nil || path != file {
		t.Errorf("found %q, %v", path, err)
	}
	for _, test := range []struct {
		explicit string
		want     []string
	}{
		{filepath.Join(dir, "none.so"), []string{filepath.Join(dir, "none.so"), "LAPSE_LIBCHDB"}},
		{dir, []string{dir, "not a file"}},
	} {
		_, err := Find(test.explicit)
		wantWords(t, err, test.want...)
	}

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path, err := Find("")
	if err == nil {
		t.Skipf("%s is installed, so nothing is missing", path)
	}
	wantWords(t, err, filepath.Dir(exe), "/usr/local/lib", "make build", "@chdb/lib-", "LAPSE_LIBCHDB")
}

func TestFindBesideExecutable(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(exe), "libchdb.so")
	if _, err := os.Lstat(path); err == nil {
		t.Skipf("%s is there already", path)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	if found, err := Find(""); err != nil || found != path {
		t.Errorf("found %q, want %q (%v)", found, path, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(text, []byte("version https://git-lfs.github.com/spec/v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := load(text)
	wantWords(t, err, text, "not a libchdb")

	if runtime.GOOS != "linux" {
		return
	}
	other, err := filepath.Glob("/lib/*-linux-gnu/libm.so.6")
	if err != nil || len(other) == 0 {
		t.Skip("no other library to try")
	}
	_, err = load(other[0])
	wantWords(t, err, other[0], "too old", "chdb_version")
}

func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q lacks %q", err, w)
		}
	}
}
