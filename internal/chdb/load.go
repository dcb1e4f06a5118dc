//go:build (linux || darwin) && (amd64 || arm64) && !noembedded

package chdb

import (
	"fmt"
	"os"
	"syscall"

	"github.com/ebitengine/purego"
)

func unavailable() error { return nil }

// flock takes the file's lock, which the kernel frees when the process ends in any way. It does not wait.
func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// load maps the library into the process. A mapped library is never unloaded.
func load(path string) (*library, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: not a libchdb that runs on this system: %w", path, err)
	}
	lib := &library{path: path}
	for _, s := range lib.symbols() {
		addr, err := purego.Dlsym(h, s.name)
		if err != nil {
			return nil, fmt.Errorf("load %s: not libchdb, or too old a version of it (%s is missing); version 26.7 or newer is needed", path, s.name)
		}
		purego.RegisterFunc(s.fn, addr)
	}
	return lib, nil
}
