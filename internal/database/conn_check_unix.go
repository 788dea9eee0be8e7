//go:build unix

package database

import (
	"errors"
	"syscall"
)

// connCheck reports whether a socket is open and has no data to read. It does not block, and reads
// no data.
func connCheck(socket syscall.RawConn) (nothing bool) {
	err := socket.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && nothing
}
