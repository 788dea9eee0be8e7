package password

import (
	"runtime"
	"syscall"
)

// hashNiceness is the niceness of threads that hash, of at most 19, so that other threads get the
// core first.
const hashNiceness = 10

// yieldThread gives the calling goroutine a thread of low priority. A process without privileges
// cannot raise the priority again, so the thread ends with the goroutine.
func yieldThread() {
	runtime.LockOSThread()
	// If that fails, the thread keeps its priority.
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), hashNiceness)
}
