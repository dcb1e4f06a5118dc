package serve

import (
	"fmt"
	"os"
	"syscall"
)

// expendable is how much sooner than others the kernel ends a process when memory runs out, of 1000.
const expendable = "500"

// expend makes the child what the kernel ends when memory runs out, and not the service. Where that can't be said, it is as
// it was.
func expend(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(expendable), 0)
}

// apart keeps the terminal's Ctrl-C from the child: the service says when it ends. A child whose parent is gone ends
// too, in good order: whoever takes the run over begins it anew.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}
