package main

import (
	"fmt"
	"strconv"
	"strings"

	"agent/transfer"
	"agent/transfer/s3store"
)

// automatic is how a flag says that a figure is found out while it runs.
const automatic = "auto"

// laneCount is a flag's value: so many large requests at once, or 0 for as many
// as are of use.
type laneCount int

func (l *laneCount) Set(s string) error {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if strings.EqualFold(strings.TrimSpace(s), automatic) {
		n, err = 0, nil
	}
	if err != nil {
		return fmt.Errorf("%q is no number: write for example 8, or %s", s, automatic)
	}
	*l = laneCount(n)
	return nil
}

func (l *laneCount) String() string {
	if *l == 0 {
		return automatic
	}
	return strconv.Itoa(int(*l))
}

func (l *laneCount) Type() string { return "number" }

// most is how many there may be.
func (l laneCount) most() int {
	if l == 0 {
		return s3store.MaxLanes
	}
	return int(l)
}

// What of the limit on open files a lane takes: four small files that are sent,
// four that wait, and their connections; and what is open beside the lanes.
const (
	filesForLane = 12
	filesBeside  = 32
)

// filesForReading is what a file takes that is verified: itself, and the four
// connections by which objects are asked about meanwhile.
const filesForReading = 5

// lanesFor is how many lanes a process gets along with that may have so many files
// open.
func lanesFor(files int) int { return max(1, (files-filesBeside)/filesForLane) }

// readingFor is likewise how many files may be verified at once.
func readingFor(files int) int { return max(1, (files-filesBeside)/filesForReading) }

// What is open in any case: streams, journal, log, directories, and connections that
// are not a lane's. It is a part of filesBeside.
const filesAnyway = 14

// readersFor is how many directories a scan may read at once where so many files are
// left by the lanes: on a terminal two scans do.
func readersFor(left int) int { return min(16, max(1, (left-filesAnyway)/2)) }

// fewFiles says why there is no more of something.
func fewFiles(files int, noMore string) string {
	return fmt.Sprintf("only %d files may be open at once: no more than %s (ulimit -n 1024 raises that)", files, noMore)
}

// boundLanes keeps the lanes within what may be open at once: a file that can't be
// opened for want of that would be a failed one.
func (s *session) boundLanes(files int) {
	most := lanesFor(files)
	s.most = min(s.o.parallel.most(), most)
	s.readers = readersFor(files - s.most*filesForLane)
	if s.most < s.o.parallel.most() {
		s.event(transfer.Event{Kind: transfer.Notice, Text: fewFiles(files, lanesName(int64(s.most)))})
		s.o.parallel = laneCount(min(int(s.o.parallel), most)) // 0 remains
	}
}

// partBytes is a flag's value: a size, or 0 for one that suits the link.
type partBytes byteSize

func (p *partBytes) Set(s string) error {
	if t := strings.TrimSpace(s); strings.EqualFold(t, automatic) || t == "0" {
		*p = 0
		return nil
	}
	return (*byteSize)(p).Set(s)
}

func (p *partBytes) String() string {
	if *p == 0 {
		return automatic
	}
	return (*byteSize)(p).String()
}

func (p *partBytes) Type() string { return "size" }

// most is the size of parts, in bytes, where nothing speaks for smaller ones.
func (p partBytes) most() int64 {
	if p == 0 {
		return 16 << 20
	}
	return int64(p)
}
