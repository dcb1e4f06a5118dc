package chdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Find returns the path of the library: the explicit one if it is not empty, else the first found beside the
// executable (links resolved), below its prefix, and in the usual library folders.
func Find(explicit string) (string, error) {
	if err := unavailable(); err != nil {
		return "", err
	}
	if explicit != "" {
		path, err := filepath.Abs(explicit)
		if err != nil {
			return "", fmt.Errorf("find libchdb: %w", err)
		}
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("find libchdb: there is no %s; LAPSE_LIBCHDB must be the path of the library itself", path)
		case err != nil:
			return "", fmt.Errorf("find libchdb: %w", err)
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("find libchdb: %s is not a file; LAPSE_LIBCHDB must be the path of the library itself", path)
		}
		return path, nil
	}
	folders := libraryFolders()
	for _, dir := range folders {
		for _, name := range []string{"libchdb.so", "libchdb.dylib"} {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("find libchdb: not in %s; run `make build`, or put libchdb.so of the npm package %s beside the executable, "+
		"or set LAPSE_LIBCHDB to its path", strings.Join(folders, ", "), npmPackage())
}

func libraryFolders() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dir := filepath.Dir(exe)
		dirs = append(dirs, dir, filepath.Join(dir, "..", "lib", "lapse"), filepath.Join(dir, "..", "lib"))
	}
	dirs = append(dirs, "/usr/local/lib/lapse", "/usr/local/lib", "/usr/lib/lapse", "/usr/lib")
	switch {
	case runtime.GOOS == "darwin":
		dirs = append(dirs, "/opt/homebrew/lib")
	case runtime.GOARCH == "arm64":
		dirs = append(dirs, "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
	default:
		dirs = append(dirs, "/usr/lib/x86_64-linux-gnu", "/usr/lib64")
	}
	return dirs
}

func npmPackage() string {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS == "darwin" {
		return "@chdb/lib-darwin-" + arch
	}
	return "@chdb/lib-linux-" + arch + "-gnu"
}
