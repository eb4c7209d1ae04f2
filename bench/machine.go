package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// describeMachine tells what the figures depend on.
func describeMachine(ctx context.Context, agent string) machine {
	m := machine{
		cpu:      fmt.Sprintf("%d × %s", runtime.NumCPU(), cpuModel()),
		system:   runtime.GOOS + "/" + runtime.GOARCH + kernel(),
		versions: runtime.Version(),
	}
	if out, err := exec.CommandContext(ctx, agent, "--version").Output(); err == nil {
		m.versions += "; " + strings.TrimSpace(string(out))
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if strings.HasSuffix(d.Path, "/service/s3") {
				m.versions += "; SDK s3 " + d.Version
			}
		}
	}
	return m
}

// cpuModel is the processor's name, where Linux tells it.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "CPU"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "CPU"
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return " " + strings.TrimSpace(string(b))
}
