//go:build linux

package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"agent/creds"
)

// screen is a terminal with a process on it.
type screen struct {
	*proc
	tty *os.File
}

// onScreen starts cmd as the foreground of a terminal of its own.
func (r *rig) onScreen(cmd *exec.Cmd) *screen {
	r.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 40, Cols: 160}); err != nil {
		r.t.Fatal(err)
	}
	p := &proc{t: r.t, cmd: cmd, done: make(chan struct{})}
	r.secrets.ran(p)
	cmd.Env = slices.Concat(r.env, []string{"TERM=xterm"})
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	slave.Close()
	go func() {
		for b := make([]byte, 4096); ; {
			n, err := master.Read(b)
			_, _ = p.err.Write(b[:n])
			if err != nil {
				break
			}
		}
		_ = cmd.Wait()
		close(p.done)
	}()
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.done
		master.Close()
	})
	return &screen{proc: p, tty: master}
}

func (s *screen) types(text string) {
	s.t.Helper()
	if _, err := s.tty.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// pasted is text as a terminal delivers a paste.
func pasted(text string) string { return "\x1b[200~" + text + "\x1b[201~" }

// TestPasteOnTheRunsOwnTerminal proves that an upload which needs a token says
// where to get one, rings once, takes a paste, shows nothing of it, and goes on.
func TestPasteOnTheRunsOwnTerminal(t *testing.T) {
	t.Parallel()
	files := tree{}.with("large", 20<<20)
	r := newRig(t, "-token-life", "3s", "-rate", "4MB")
	s := r.onScreen(r.command("upload", "--parallel", "2", "--part-size", "5MiB", files.write(t), r.dest))
	s.says("get a new token at https://eodatahub.org.uk (Workspaces")
	s.says("Paste the new token here")
	var tokens [][]string
	for range 2 {
		tokens = append(tokens, r.token())
		m := r.mark()
		s.types(pasted(pageText(tokens[len(tokens)-1])))
		until(t, "a request", func() bool { return len(r.requests(m)) > 0 })
		until(t, "a refusal or the end", func() bool { return !s.running() || refusedSince(r.requests(m)) })
		if !s.running() {
			break
		}
		until(t, "the next question", func() bool {
			return !s.running() || strings.Count(s.err.String(), "Paste the new token here") > len(tokens)
		})
	}
	for s.running() { // one that was enough for the rest
		tokens = append(tokens, r.token())
		s.types(pasted(pageText(tokens[len(tokens)-1])))
		n := len(tokens)
		until(t, "the next question, or the end", func() bool {
			return !s.running() || strings.Count(s.err.String(), "Paste the new token here") > n
		})
	}
	e := s.wait()
	if e.code != 0 || !strings.Contains(e.err, "session token 1120 characters") || !strings.Contains(e.err, "going on after") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if bells, waits := strings.Count(e.err, "\a"), strings.Count(e.err, "going on after"); bells != waits {
		t.Errorf("%d bells for %d waits", bells, waits)
	}
	for _, token := range tokens {
		for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
			if strings.Contains(e.err, value(token, name)[:12]) {
				t.Errorf("the screen shows %s", name)
			}
		}
	}
	r.holds(files)
}

// TestPasteIsForTheRunThatWaits proves that a paste without a name goes to the
// run that waits, whatever the shell's own settings say of the store.
func TestPasteIsForTheRunThatWaits(t *testing.T) {
	t.Parallel()
	files := tree{}.with("f", 10)
	r := newRig(t)
	p := r.startUpload(files.write(t))
	p.says("waiting for credentials")
	until(t, "run.json that says so", func() bool {
		e := r.run("creds", "paste") // without input it changes nothing
		return !strings.Contains(e.err, "no workspace is named")
	})
	cmd := r.command("creds", "paste")
	cmd.Stdin = strings.NewReader(pageText(r.token()))
	before := r.env
	r.env = without(r.env, "AWS_ENDPOINT_URL", "AWS_REGION")
	e := r.startAs(cmd).wait()
	r.env = before
	if e.code != 0 || !strings.Contains(e.err, "what waits for it goes on") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	if e := p.wait(); e.code != 0 || !strings.Contains(e.err, "going on after") {
		t.Fatalf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
}

// without is an environment without some variables.
func without(env []string, names ...string) []string {
	var out []string
next:
	for _, line := range env {
		for _, name := range names {
			if strings.HasPrefix(line, name+"=") {
				continue next
			}
		}
		out = append(out, line)
	}
	return out
}

// TestLongPasteReachesNoShell proves that a paste of 6,000 bytes without a final
// newline is taken whole, ends by itself, and that neither it nor what the
// clipboard had behind it is read by the shell.
func TestLongPasteReachesNoShell(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := strings.Repeat("QWxsIHlvdXIgYmFzZSBhcmUgYmVsb25nIHRvIHVz", 145) + "=="
	text := "ACCESS_KEY_ID=ASIAEXAMPLEEXAMPLE00\nSECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYxx\nSESSION_TOKEN=" + token
	if len(text) < 5900 {
		t.Fatalf("only %d bytes", len(text))
	}
	for name, typed := range map[string]string{"bracketed": pasted(text) + "\n", "bare": text} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", `"$0" creds paste --no-check my-workspace; echo ended: $?; IFS= read -r x; echo "shell got [$x]"`, built.agent)
			s := r.onScreen(cmd)
			s.says("Nothing of it will be shown.")
			s.types(typed)
			s.says("ended: 0")
			s.types("ok\n")
			e := s.wait()
			if !strings.Contains(e.err, "session token 5802 characters") || !strings.Contains(e.err, "shell got [ok]") {
				t.Errorf("%s", e.err)
			}
			if strings.Contains(e.err, token[:8]) || strings.Contains(e.err, "wJalr") {
				t.Error("the screen shows a secret")
			}
			got, err := (&creds.Handover{Dir: r.state + "/creds", Endpoint: r.sb.Endpoint(), Workspace: "my-workspace"}).Retrieve(t.Context())
			if err != nil || got.SessionToken != token {
				t.Errorf("%d characters came, %v", len(got.SessionToken), err)
			}
		})
	}
}

// TestLoginOnATerminal proves that a login asks for what it needs, shows no
// key, and lets a run that waits go on.
func TestLoginOnATerminal(t *testing.T) {
	t.Parallel()
	files := tree{}.with("f", 10)
	r := newRig(t)
	p := r.startUpload(files.write(t))
	p.says("waiting for credentials")
	key := r.sb.Env["AGENT_SANDBOX_API_KEY"]
	s := r.onScreen(r.command("login"))
	s.says("The platform's API [https://eodatahub.org.uk/api]: ")
	s.types(r.sb.Env["AGENT_SANDBOX_API"] + "\n")
	s.says("Workspace: ")
	s.types(r.sb.Workspace() + "\n")
	s.says("API key (not shown): ")
	s.types(key + "\n")
	s.says("When does the key end?")
	s.types("tomorrow\n")
	s.says("\"tomorrow\" is no date")
	s.types(time.Now().Add(48*time.Hour).Format(time.DateOnly) + "\n")
	e := s.wait()
	if e.code != 0 || !strings.Contains(e.err, "logged in to "+r.sb.Workspace()) || strings.Contains(e.err, key[:8]) {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	if e := p.wait(); e.code != 0 || !strings.Contains(e.err, "going on after") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
}

// TestStalePaste proves that a token which has ended is told of when it is
// pasted, however often, and that the run goes on asking.
func TestStalePaste(t *testing.T) {
	t.Parallel()
	files := tree{}.with("f", 10)
	r := newRig(t, "-token-life", "8s")
	stale := pageText(r.token())
	s := r.onScreen(r.command("upload", files.write(t), r.dest))
	s.says("Paste the new token here")
	until(t, "the token's end", func() bool {
		cmd := r.command("creds", "paste", "--state-dir", t.TempDir(), r.dest)
		cmd.Stdin = strings.NewReader(stale)
		return r.startAs(cmd).wait().code == 4
	})
	for n := 1; n <= 2; n++ {
		s.types(pasted(stale))
		until(t, "a refusal and the next question", func() bool {
			return strings.Count(s.err.String(), "not handed over: ") == n && strings.Count(s.err.String(), "Paste the new token here") == n+1
		})
	}
	s.types(pasted(pageText(r.token())))
	if e := s.wait(); e.code != 0 || !strings.Contains(e.err, "they have ended: request new ones") {
		t.Errorf("exit %d\n%s", e.code, e.err)
	}
	r.holds(files)
}

// TestInterruptedPrompt proves that ^C at a prompt ends the program by its exit
// code and leaves the terminal as it was.
func TestInterruptedPrompt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	files := tree{}.with("f", 10).write(t)
	for name, c := range map[string]struct{ line, asks string }{
		"paste":  {`"$0" creds paste my-workspace`, "Nothing of it will be shown."},
		"login":  {`"$0" login my-workspace --base http://127.0.0.1:1/api`, "API key (not shown): "},
		"upload": {`"$0" upload ` + files + ` ` + r.dest, "Paste the new token here"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", `trap : INT; before=$(stty -g); `+c.line+`; echo "ended: $?"; [ "$before" = "$(stty -g)" ] && echo same modes`, built.agent)
			s := r.onScreen(cmd)
			s.says(c.asks)
			s.types("\x03")
			e := s.wait()
			if !strings.Contains(e.err, "ended: 130") || !strings.Contains(e.err, "same modes") {
				t.Errorf("%s", e.err)
			}
		})
	}
}
