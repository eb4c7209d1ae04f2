package main

import "time"

// clock is the server's idea of the time: the real time plus an offset. The
// request log does not use it, so that its times can be compared with those
// of other processes.
type clock struct{ offset time.Duration }

func (c clock) now() time.Time { return time.Now().Add(c.offset).UTC() }
