//go:build unix

package platform

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a ^C at the terminal from the child: its parent decides.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
