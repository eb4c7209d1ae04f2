package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/schollz/progressbar/v3"
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
	line  string // what is on the screen
	drawn int    // its columns
}

func (b *bar) clear() {
	if b.drawn > 0 {
		b.err.WriteString("\r" + strings.Repeat(" ", b.drawn) + "\r")
	}
	b.line, b.drawn = "", 0
}

func (b *bar) progress(p progress) {
	// The last column stays free: a terminal may wrap when it is filled.
	line := draw(p, b.safe(p.Waiting), b.o.Width()-1)
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
	text string
	rank int
}

// segments are what a progress line says, in order.
func segments(p progress, waiting, of string) []segment {
	var segs []segment
	switch {
	case waiting != "":
		segs = append(segs, segment{"waiting for " + waiting, 9})
	case !p.Scanned:
		segs = append(segs, segment{"scanning…", 5})
	}
	n := fmt.Sprintf("%s%s%s", Count(p.FilesDone+p.FilesThere), of, files(p.FilesFound))
	segs = append(segs,
		segment{n, 4},
		segment{bytesOf(p.BytesDone, p.BytesFound, of), 7})
	if waiting == "" {
		segs = append(segs, segment{Rate(p.rate), 6})
		if p.leftKnown && p.Remaining() > 0 {
			segs = append(segs, segment{Duration(p.left) + " left", 8})
		}
	}
	if p.FilesFailed > 0 {
		segs = append(segs, segment{Count(p.FilesFailed) + " failed", 3})
	}
	if p.lifeKnown {
		segs = append(segs, segment{token(p), 2})
	}
	return segs
}

func token(p progress) string {
	if p.life <= 0 {
		return "token expired"
	}
	return "token " + Duration(p.life)
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
		segs = without(segs)
	}
}

// without drops the segment that matters least.
func without(segs []segment) []segment {
	least := 0
	for i, s := range segs {
		if s.rank < segs[least].rank {
			least = i
		}
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
