//go:build !((linux || darwin) && (amd64 || arm64) && !noembedded)

package chdb

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func load(string) (*library, error) { return nil, unavailable() }

func unavailable() error {
	return fmt.Errorf("embedded store is not available on %s/%s in this build; use a server: store: clickhouse://host:9000/lapse", runtime.GOOS, runtime.GOARCH)
}

func flock(*os.File) error { return errors.ErrUnsupported }
