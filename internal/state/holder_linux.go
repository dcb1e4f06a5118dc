package state

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// thisProcess names this process for good, also after its number was given to another: boot, namespace of process
// numbers, number and start. It is empty where /proc does not say so.
var thisProcess = sync.OnceValue(func() string {
	start := startOf(fmt.Sprint(os.Getpid()))
	if start == "" || machine() == "" {
		return ""
	}
	return fmt.Sprintf("%s %d %s", machine(), os.Getpid(), start)
})

// isGone reports that a process named by thisProcess ran here and is no more. Of other machines and containers it
// knows nothing.
func isGone(process string) bool {
	f := strings.Fields(process)
	return len(f) == 4 && f[0]+" "+f[1] == machine() && startOf(f[2]) != f[3]
}

var machine = sync.OnceValue(func() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + space
})

// startOf is when the process of that number started, in ticks since boot (proc(5), field 22 of stat); "" if there is
// none, or only its entry in the process table is left.
func startOf(pid string) string {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	// The second field is the command in parentheses, which may hold blanks and parentheses.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	f := strings.Fields(rest)
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return ""
	}
	return f[19]
}
