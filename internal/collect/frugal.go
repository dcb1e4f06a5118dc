package collect

import "runtime/debug"

// Frugal has garbage collected twice as often until the function that it returns is called, unless GOGC says something
// else. What is kept while a source is read are tables without pointers, which are passed over at no cost: that halves what
// lies about beside them. It is for the whole process, and no harm where several do so at a time.
func Frugal() (restore func()) {
	const usual, frugal = 100, 50
	if was := debug.SetGCPercent(frugal); was != usual {
		debug.SetGCPercent(was)
		return func() {}
	}
	return func() { debug.SetGCPercent(usual) }
}
