package password

import (
	"runtime"
	"syscall"
)

// hashNiceness is what a thread that hashes has, of at most 19: whoever else wants the core goes
// first.
const hashNiceness = 10

// yieldThread gives the calling goroutine a thread of low priority. Nobody may raise it again, so
// the thread ends with the goroutine.
func yieldThread() {
	runtime.LockOSThread()
	// Refused, it hashes as it would have.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), hashNiceness)
}
