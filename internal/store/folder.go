package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newFolder is the absolute path of a folder that is not there yet, or is empty.
func newFolder(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", err
	case len(entries) > 0:
		return "", fmt.Errorf("%s is not empty: name a new folder", path)
	}
	return path, os.Remove(path) // the engine wants to make it
}

// existingFolder is the absolute path of a folder that holds a backup.
func existingFolder(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(path, ".backup")); err != nil {
		return "", fmt.Errorf("%s holds no backup: %w", path, err)
	}
	return path, nil
}
