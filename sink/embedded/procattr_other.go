//go:build !linux

package embedded

import "syscall"

// procAttr puts the child in a process group of its own, so that Ctrl-C in a terminal reaches deskhouse only and the engine
// outlives the flush. That the child ends with this process rests on its stdin alone here.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
