package main

import (
	"os"
	"os/exec"
	"testing"
)

// BenchmarkVersion starts the program as `make build` leaves it. It must not open the engine: 60 ms at the most, beside
// a process that does nothing.
func BenchmarkVersion(b *testing.B) {
	const program = "../../bin/lapse"
	if _, err := os.Stat(program); err != nil {
		b.Skip("bin/lapse is not there: run `make build`")
	}
	for _, c := range []struct {
		name string
		args []string
	}{{"version", []string{program, "version"}}, {"nothing", []string{"true"}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := exec.Command(c.args[0], c.args[1:]...).Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
