package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/timetable"
	"agent/transfer/s3store"
)

// limitOptions bound the bytes a second. The zero value does not.
type limitOptions struct {
	limit bandwidth
}

func (o *limitOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().Var(&o.limit, "limit", "at most so many bytes a second, both ways together: 40MiB/s; or by local time: '08:00-18:00=10MiB/s,18:00-08:00=off', 'mon-fri 08:00-18:00=10MiB/s'")
}

// limiter is what keeps to it; nil without a limit.
func (o *limitOptions) limiter() *s3store.Limiter {
	if rate, ok := o.limit.table.Constant(); ok && rate == 0 {
		return nil
	}
	return s3store.NewLimiter(func(now time.Time) int64 { return o.limit.table.At(now.Local()) })
}

// bandwidth is a flag's value: bytes a second, or a timetable of them.
type bandwidth struct {
	text  string
	table timetable.Table
}

func (b *bandwidth) Set(text string) error {
	table, err := timetable.Parse(text, bytesPerSecond)
	if err != nil {
		return err
	}
	b.text, b.table = text, table
	return nil
}

func (b *bandwidth) String() string { return b.text }
func (b *bandwidth) Type() string   { return "rate" }

// leastRate keeps people from a figure they mean in other units.
const leastRate = 1 << 10

func bytesPerSecond(text string) (int64, error) {
	t := strings.ToLower(strings.TrimSpace(text))
	if t == "off" {
		return 0, nil
	}
	t = strings.TrimSuffix(strings.TrimSuffix(t, "/s"), "ps")
	var size byteSize
	switch {
	case strings.Contains(t, "bit"):
		return 0, fmt.Errorf("%q is in bits: write bytes, an eighth of it, for example 12.5MB/s for 100Mbit/s", text)
	case strings.Trim(t, "0.") == "":
		return 0, errors.New(`write "off" for no limit, or for example 10MiB/s`)
	case size.Set(t) != nil:
		return 0, fmt.Errorf("%q is no rate: write for example 10MiB/s, or off", text)
	case size < leastRate:
		return 0, fmt.Errorf("%q is less than 1KiB/s: write for example 10MiB/s, or off", text)
	}
	return int64(size), nil
}
