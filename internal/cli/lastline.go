package cli

import (
	"bytes"
	"cmp"
	"io"
	"strings"
	"sync"
)

// testMark begins a line on stderr that says which test begins.
const testMark = "lapse-test: "

// lastLine takes the lines that say where a process is out of its stderr, and keeps the last one.
type lastLine struct {
	mu   sync.Mutex
	line string
	part []byte
	to   io.Writer
}

func (l *lastLine) split(to io.Writer) io.Writer {
	l.to = to
	return l
}

// Write passes whole lines on.
func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := string(l.part[:i+1])
		l.part = l.part[i+1:]
		if where, ok := strings.CutPrefix(line, testMark); ok {
			l.line = strings.TrimSpace(where)
			continue
		}
		if _, err := io.WriteString(l.to, line); err != nil {
			return len(p), err
		}
	}
}

func (l *lastLine) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return cmp.Or(l.line, "no test yet")
}
