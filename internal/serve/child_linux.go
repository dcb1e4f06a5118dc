package serve

import "syscall"

// apart keeps the terminal's Ctrl-C from the child: the service says when it ends. A child whose parent is gone ends
// too, in good order: whoever takes the run over begins it anew.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}
