package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"agent/transfer"
)

// narrow is the width below which a line has no room for a bar.
const narrow = 60

// bar is one line that is redrawn in place, with messages above it.
//
// It uses no escape sequences, only \r and spaces: these work on every
// terminal, old Windows consoles too, and each frame is one write, so nothing
// flickers.
type bar struct {
	text
	bell  bool   // Err is a terminal, which can ring
	line  string // what is on the screen
	drawn int    // its columns
}

// event rings once a waiting: somebody may have to come.
func (b *bar) event(at time.Time, e transfer.Event) {
	if e.Kind == transfer.Waiting && b.bell && !b.waiting.on() {
		b.err.WriteString("\a")
	}
	b.text.event(at, e)
}

func (b *bar) clear() {
	if b.drawn > 0 {
		b.err.WriteString("\r" + strings.Repeat(" ", b.drawn) + "\r")
	}
	b.line, b.drawn = "", 0
}

func (b *bar) progress(p progress) {
	// The last column stays free: a terminal may wrap when it is filled.
	line := draw(p, b.waitingFor(p), b.o.Width()-1)
	if line == b.line {
		return
	}
	n := columns(line)
	b.err.WriteString("\r" + line + strings.Repeat(" ", max(0, b.drawn-n)))
	if n < b.drawn {
		// The cursor belongs behind the line, where ^C is echoed.
		b.err.WriteString("\r" + line)
	}
	b.line, b.drawn = line, n
}

// segment is one piece of a progress line; those that rank lower go first when
// there is no room.
type segment struct {
	text  string
	rank  int
	short string // tried before nothing; "": there is none
}

// segments are what a progress line says, in order; waiting is what is waited
// for, "" for nothing.
func segments(p progress, waiting, of string) []segment {
	var segs []segment
	switch {
	case waiting != "":
		segs = append(segs, segment{text: "waiting for " + waiting, rank: 9})
	case !p.Scanned:
		segs = append(segs, segment{text: "scanning…", rank: 5})
	}
	n := fmt.Sprintf("%s%s%s", Count(p.FilesDone+p.FilesThere), of, files(p.FilesFound))
	segs = append(segs,
		segment{text: n, rank: 4},
		segment{text: bytesOf(p.BytesDone, p.BytesFound, of), rank: 7})
	switch {
	case p.FilesDeleted > 0: // last of all: nothing is sent any more
		segs = append(segs, segment{text: Count(p.FilesDeleted) + " deleted", rank: 8})
	case waiting == "":
		segs = append(segs, segment{text: Rate(p.rate), rank: 6})
		if p.leftKnown && p.Remaining() > 0 {
			segs = append(segs, segment{text: Duration(p.left) + " left", rank: 8})
		}
	}
	if p.FilesFailed > 0 {
		segs = append(segs, segment{text: Count(p.FilesFailed) + " failed", rank: 3})
	}
	if p.credsKnown {
		text, short := token(p.creds, p.tokens)
		segs = append(segs, segment{text: text, rank: 2, short: short})
	}
	return segs
}

func texts(segs []segment) []string {
	out := make([]string, len(segs))
	for i, s := range segs {
		out[i] = s.text
	}
	return out
}

// draw makes a progress line of at most width columns.
func draw(p progress, waiting string, width int) string {
	const shortest = 10
	segs := segments(p, waiting, "/")
	percent, known := share(p)
	for {
		line := strings.Join(texts(segs), "  ")
		room := width - columns(line) - len(" 100% [] ")
		switch {
		// Before the scan's end the bar would run backwards.
		case known && width+1 >= narrow && room >= shortest:
			return drawBar(line, percent, min(room, 40))
		case known && width+1 < narrow && columns(line)+len("  100%") <= width:
			return fmt.Sprintf("%s  %d%%", line, percent)
		case !known && columns(line) <= width, len(segs) == 1:
			return clip(line, width)
		}
		segs = lessOf(segs)
	}
}

// lessOf shortens the segment that matters least, or drops it.
func lessOf(segs []segment) []segment {
	least := 0
	for i, s := range segs {
		if s.rank < segs[least].rank {
			least = i
		}
	}
	if s := segs[least]; s.short != "" {
		segs[least] = segment{text: s.short, rank: s.rank}
		return segs
	}
	return append(segs[:least:least], segs[least+1:]...)
}

// share is the percentage done, and whether it means anything yet. It says 100
// only when all is.
func share(p progress) (percent int, known bool) {
	if !p.Scanned {
		return 0, false
	}
	if p.FilesDone+p.FilesThere+p.FilesFailed >= p.FilesFound && p.Remaining() == 0 {
		return 100, true
	}
	var f float64
	if p.BytesFound > 0 {
		f = float64(p.BytesFound-p.Remaining()) / float64(p.BytesFound)
	} else {
		f = float64(p.FilesDone+p.FilesThere+p.FilesFailed) / float64(p.FilesFound)
	}
	return min(99, max(0, int(100*f))), true
}

// drawBar has progressbar draw one frame. It is made anew each time: what it
// keeps between frames is its own rate, which would count bytes that never
// moved, and a final state that it does not leave when the total grows.
func drawBar(head string, percent, width int) string {
	pb := progressbar.NewOptions(100,
		progressbar.OptionSetWriter(io.Discard),
		progressbar.OptionSetWidth(width),
		progressbar.OptionSetDescription(head),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
	)
	// Neither fails: the number is in range and the writer takes all.
	if percent == 0 {
		_ = pb.RenderBlank()
	} else {
		_ = pb.Set(percent)
	}
	return strings.Trim(pb.String(), "\r ")
}
