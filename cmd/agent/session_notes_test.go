package main

import (
	"os/user"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSessionNotes(t *testing.T) {
	me, err := user.LookupId("0")
	if err != nil {
		t.Skip("there is no user 0 here")
	}
	session := "0::/user.slice/user-0.slice/session-3.scope\n"
	manager := "0::/user.slice/user-0.slice/user@0.service/app.slice/app-x.scope\n"
	kill := "[Login]\n#KillUserProcesses=no\nKillUserProcesses = yes\nKillExcludeUsers=\n"
	lingers := "var/lib/systemd/linger/" + me.Username
	for name, c := range map[string]struct {
		files map[string]string
		slurm string
		want  string // "" for nothing to say
	}{
		"no systemd":         {files: map[string]string{}},
		"a service":          {files: map[string]string{"proc/self/cgroup": "0::/system.slice/x.service\n", "etc/systemd/logind.conf": kill}},
		"a session":          {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}},
		"killed":             {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf": kill}, want: "loginctl enable-linger, and then start it with: systemd-run --user --scope agent …"},
		"killed, lingers":    {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf": kill, lingers: ""}, want: "to keep it, start it with: systemd-run"},
		"by a drop-in":       {files: map[string]string{"proc/self/cgroup": session, "usr/lib/systemd/logind.conf.d/50.conf": kill}, want: "KillUserProcesses=yes"},
		"later drop-in":      {files: map[string]string{"proc/self/cgroup": session, "usr/lib/systemd/logind.conf.d/50.conf": kill, "etc/systemd/logind.conf.d/60.conf": "[Login]\nKillUserProcesses=no"}},
		"hidden drop-in":     {files: map[string]string{"proc/self/cgroup": session, "usr/lib/systemd/logind.conf.d/50.conf": kill, "etc/systemd/logind.conf.d/50.conf": ""}},
		"other section":      {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf": "[Manager]\nKillUserProcesses=yes\nKillExcludeUsers=\n"}},
		"excluded":           {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n"}}, // root is
		"others only":        {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf": kill + "KillOnlyUsers=somebody\n"}},
		"a user's manager":   {files: map[string]string{"proc/self/cgroup": manager}, want: "ends it with your last session; to keep it, once: loginctl enable-linger"},
		"a lasting manager":  {files: map[string]string{"proc/self/cgroup": manager, lingers: ""}},
		"another's manager":  {files: map[string]string{"proc/self/cgroup": strings.ReplaceAll(manager, "user@0", "user@7")}},
		"Slurm":              {files: map[string]string{"proc/self/cgroup": session}, slurm: "4711", want: "Slurm ends it with its job 4711"},
		"empty drop-in name": {files: map[string]string{"proc/self/cgroup": session, "etc/systemd/logind.conf.d/x": kill}},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		got := strings.Join(sessionNotes(root, 0, func(string) string { return c.slurm }, "agent"), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestUndetached(t *testing.T) {
	root := rootCommand(program, std{})
	for args, want := range map[string]string{
		"upload --detach a ws/b":                "upload a ws/b",
		"upload a --detach=true ws/b -q":        "upload a ws/b -q",
		"download --quiet --detach ws/b --json": "download --quiet ws/b --json",
		"upload --log-file --detach a ws/b":     "upload --log-file --detach a ws/b", // its value
		"upload --detach -- --detach ws/b":      "upload -- --detach ws/b",
	} {
		if got := strings.Join(undetached(root, strings.Fields(args)), " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}
