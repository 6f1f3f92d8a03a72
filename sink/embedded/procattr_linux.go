package embedded

import "syscall"

// procAttr puts the child in a process group of its own, so that Ctrl-C in a terminal reaches deskhouse only and the engine
// outlives the flush; and has the kernel send it SIGTERM when this process dies. The closed stdin does the same; this is for
// the case that another process inherited its other end.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
