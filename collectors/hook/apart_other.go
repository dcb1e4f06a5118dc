//go:build !unix

package hook

import "os/exec"

// apart has nothing to do where there are no process groups: the command alone is killed.
func apart(*exec.Cmd) {}
