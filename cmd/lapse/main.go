// Command lapse finds access that should have lapsed, proves it, and takes it away.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/lapse-audit/lapse/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	program, err := os.Executable()
	if err != nil {
		program = "" // policies are then tried in this process
	}
	os.Exit(cli.Run(ctx, cli.System{
		Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv, Version: version, Program: program,
	}))
}
