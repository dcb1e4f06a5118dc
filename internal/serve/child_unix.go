//go:build unix && !linux

package serve

import "syscall"

// apart keeps the terminal's Ctrl-C from the child: the service says when it ends.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func expend(int) {}
