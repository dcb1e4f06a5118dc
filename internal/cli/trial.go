package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/lapse-audit/lapse/internal/policy"
)

// trialCommand is the hidden command by which the program tries policies in a process of their own.
const trialCommand = "try-policies"

// sandboxLimit is when Go collects garbage at all cost, below the memory at which the process is ended.
const sandboxLimit = "GOMEMLIMIT=768MiB"

func newTrial(g *global) *cobra.Command {
	return &cobra.Command{
		Use:    trialCommand,
		Short:  "Evaluate policies as standard input says; the program runs this itself",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return policy.ServeTrial(cmd.Context(), g.sys.Stdin, g.sys.Stdout)
		},
	}
}

// sandbox runs the program itself again. The process gets no environment: a policy has none, whatever happens to it.
func (g *global) sandbox() *policy.Sandbox {
	if g.sys.Program == "" {
		return nil
	}
	return &policy.Sandbox{Command: func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, g.sys.Program, trialCommand)
		cmd.Env = []string{sandboxLimit}
		return cmd
	}}
}

// testApart runs a command of tests in a process of its own, and says which test it was in when it had to be ended.
func (g *global) testApart(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, g.sys.Program, args...)
	cmd.Env = []string{sandboxLimit}
	for _, name := range []string{"LAPSE_CONFIG", "TZ", "HOME"} {
		if v, ok := g.sys.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	progress := &lastLine{}
	cmd.Stdout, cmd.Stderr = g.sys.Stdout, progress.split(g.sys.Stderr)
	if err := cmd.Start(); err != nil {
		return err
	}
	guard := policy.NewGuard(cmd, testMemory, 0)
	err := cmd.Wait()
	if why := guard.Stop(); why != "" {
		return fmt.Errorf("the tests were ended in %s: %s", progress.last(), why)
	}
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return exit{ended.ExitCode()}
	}
	return err
}

// testMemory is what the process of tests may take.
const testMemory = 1 << 30
