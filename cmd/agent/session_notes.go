package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os/user"
	"slices"
	"strconv"
	"strings"
)

// sessionNotes says what would end a detached run all the same: a login session
// or a user's manager of systemd that takes its processes along, or a batch
// job. root is the machine's file system.
func sessionNotes(root fs.FS, uid int, getenv func(string) string, name string) []string {
	if id := getenv("SLURM_JOB_ID"); id != "" {
		return []string{"Slurm ends it with its job " + id + ": see '" + name + " schedule install --slurm'"}
	}
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil // no Linux
	}
	var login string
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		login = u.Username
	}
	_, err = fs.Stat(root, "var/lib/systemd/linger/"+login)
	linger := login != "" && err == nil
	enable := "loginctl enable-linger"
	switch {
	case bytes.Contains(groups, []byte("/user@"+strconv.Itoa(uid)+".service/")):
		if !linger {
			return []string{"systemd ends it with your last session; to keep it, once: " + enable}
		}
	case bytes.Contains(groups, []byte("/session-")) && killsProcesses(root, login):
		scope := fmt.Sprintf("systemd-run --user --scope %s …", name)
		if linger {
			return []string{"this machine ends it with your session (KillUserProcesses=yes); to keep it, start it with: " + scope}
		}
		return []string{"this machine ends it with your session (KillUserProcesses=yes); to keep it, once: " + enable + ", and then start it with: " + scope}
	}
	return nil
}

// killsProcesses reports whether logind is set to end what a user's session
// leaves behind. Drop-ins go by their names, whatever folder they are in; one in
// /etc hides one of the same name elsewhere.
func killsProcesses(root fs.FS, login string) bool {
	set := map[string]string{"KillExcludeUsers": "root"}
	read := func(path string) bool {
		text, err := fs.ReadFile(root, path)
		if err == nil {
			readLogind(text, set)
		}
		return err == nil
	}
	for _, dir := range []string{"etc", "run", "usr/local/lib", "usr/lib"} {
		if read(dir + "/systemd/logind.conf") {
			break
		}
	}
	drops := map[string]string{}
	for _, dir := range []string{"usr/lib", "usr/local/lib", "run", "etc"} {
		found, _ := fs.Glob(root, dir+"/systemd/logind.conf.d/*.conf") // a wrong pattern is the only error
		for _, path := range found {
			drops[path[strings.LastIndexByte(path, '/'):]] = path
		}
	}
	for _, name := range slices.Sorted(maps.Keys(drops)) {
		read(drops[name])
	}
	on := slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(set["KillUserProcesses"]))
	only := strings.Fields(set["KillOnlyUsers"])
	return on && !slices.Contains(strings.Fields(set["KillExcludeUsers"]), login) && (len(only) == 0 || slices.Contains(only, login))
}

// readLogind lays the settings of one file over those before.
func readLogind(text []byte, set map[string]string) {
	section := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if name, value, ok := strings.Cut(line, "="); ok && section == "[Login]" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			set[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
}
