package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/show"
	"agent/transfer"
)

// lsOptions are the flags of ls.
type lsOptions struct {
	remote                              remoteOptions
	recursive, long, human, total, json bool
}

func (o *lsOptions) addFlags(cmd *cobra.Command) {
	o.remote.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.recursive, "recursive", "r", false, "list everything below DEST, by whole keys")
	f.BoolVarP(&o.long, "long", "l", false, "show ETag and checksum too; a request for each object")
	f.BoolVar(&o.human, "human", false, "show sizes like 1.23 GiB")
	f.BoolVar(&o.total, "total", false, "show count and bytes at the end")
	f.BoolVar(&o.json, "json", false, "print one JSON object a line")
}

func lsCommand(name string, s std) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:   "ls [DEST]",
		Short: "List objects",
		Long: `Lists what is stored at DEST, which is workspace/path or s3://bucket/key: the
object of that name, and what lies directly below it, where deeper levels are
shown as 'PRE name/'. DEST* lists what begins with DEST. Without DEST it is the
workspace of the only login, or ` + variable("WORKSPACE") + `.

Times are local, as with 'aws s3 ls'; in --json they are UTC. Ends with 1 if a
DEST below the workspace or bucket was named and nothing is there.`,
		Example: fmt.Sprintf(`  %[1]s ls
  %[1]s ls my-workspace/dataset
  %[1]s ls -r --human --total my-workspace/dataset
  %[1]s ls 'my-workspace/scenes/2024-*'
  %[1]s ls -r -l --json s3://my-bucket/netcdf | jq .crc64nvme`, name),
		Args: atMostOne("destination"),
		RunE: func(cmd *cobra.Command, args []string) error { return runLs(cmd.Context(), name, args, o, s) },
	}
	o.addFlags(cmd)
	return cmd
}

func runLs(ctx context.Context, name string, args []string, o lsOptions, s std) error {
	begins := false
	if len(args) > 0 {
		var word string
		if word, begins = strings.CutSuffix(args[0], "*"); begins {
			args = []string{word}
		}
	}
	c, err := connectTo(ctx, name, o.remote.connection, args)
	if err != nil {
		return err
	}
	r, ctx := openRemote(ctx, name, o.remote, s, c, c.dest.Prefix, inspectors)
	defer r.close()
	l := &lister{o: o, store: r.store, out: bufio.NewWriterSize(s.out, 64<<10)}
	err = l.run(ctx, c.dest.Prefix, begins)
	if ferr := l.out.Flush(); err == nil && ferr != nil {
		err = ferr
	}
	if err != nil {
		return r.ended(err)
	}
	if _, all := c.whole(); l.objects+l.prefixes == 0 && !all {
		r.say("%s: nothing is stored at %s", name, c.dest)
		return &shownError{exitFailures}
	}
	return nil
}

// inspectors is how many objects are asked about at once for --long.
const inspectors = 16

// listStore is the store as ls needs it.
type listStore interface {
	ListAny(ctx context.Context, prefix string) iter.Seq2[transfer.Object, error]
	ListDir(ctx context.Context, prefix string) iter.Seq2[transfer.Object, error]
	Lookup(ctx context.Context, key string) (transfer.Object, error)
	Inspect(ctx context.Context, key string) (transfer.Stored, error)
}

// lister writes a listing as it comes; it holds one page and, for --long, a few
// objects that are being asked about.
type lister struct {
	o     lsOptions
	store listStore
	out   *bufio.Writer

	cut               int // bytes of keys that are not shown
	objects, prefixes int
	bytes             int64
}

// run lists what is at prefix: what begins so, or the object of that name and
// what is below.
func (l *lister) run(ctx context.Context, prefix string, begins bool) error {
	under := prefix
	if !begins && prefix != "" && !strings.HasSuffix(prefix, "/") {
		l.cut = l.below(prefix)
		if err := l.each(ctx, l.exactly(ctx, prefix)); err != nil {
			return err
		}
		under += "/"
	}
	l.cut = l.below(under)
	all := l.store.ListDir(ctx, under)
	if l.o.recursive {
		all = l.store.ListAny(ctx, under)
	}
	if err := l.each(ctx, all); err != nil {
		return err
	}
	return l.sum()
}

// below is how much of the keys is not shown: without -r all but the last name.
func (l *lister) below(prefix string) int {
	if l.o.recursive {
		return 0
	}
	return strings.LastIndexByte(prefix, '/') + 1
}

// exactly is the object of that name, if there is one. A listing is asked: it
// answers with a code where HEAD can't.
func (l *lister) exactly(ctx context.Context, key string) iter.Seq2[transfer.Object, error] {
	return func(yield func(transfer.Object, error) bool) {
		if obj, err := l.store.Lookup(ctx, key); !errors.Is(err, transfer.ErrNotExist) {
			yield(obj, err)
		}
	}
}

// each writes objects and prefixes, in order.
func (l *lister) each(ctx context.Context, all iter.Seq2[transfer.Object, error]) error {
	if !l.o.long {
		for obj, err := range all {
			if err != nil {
				return err
			}
			if err := l.write(transfer.Stored{Object: obj}); err != nil {
				return err
			}
		}
		return nil
	}
	return inspectAll(ctx, l.store, all, l.write)
}

// isPrefix tells the prefixes of ListDir from its objects.
func isPrefix(obj transfer.Object) bool { return obj.ETag == "" && obj.Modified.IsZero() }

// listedLine is one line of --json.
type listedLine struct {
	Type     string            `json:"type"`
	Key      string            `json:"key"`
	Size     *int64            `json:"size,omitempty"`
	Modified *time.Time        `json:"modified,omitempty"`
	ETag     string            `json:"etag,omitempty"`
	Sums     map[string]string `json:"checksums,omitempty"`
	CRC64    string            `json:"crc64nvme,omitempty"`
}

func (l *lister) write(st transfer.Stored) error {
	if l.o.json {
		return l.writeJSON(st)
	}
	if isPrefix(st.Object) {
		l.prefixes++
		_, err := fmt.Fprintf(l.out, "%*s %s\n", 30+l.wide(), "PRE", l.shown(st.Key))
		return err
	}
	l.objects++
	l.bytes += st.Size
	size := strconv.FormatInt(st.Size, 10)
	if l.o.human {
		size = show.Bytes(st.Size)
	}
	line := fmt.Sprintf("%s %10s ", st.Modified.Local().Format(time.DateTime), size)
	if l.o.long {
		line += fmt.Sprintf("%-*s %-*s ", etagWide, show.Clean(strings.Trim(st.ETag, `"`)), sumWide, show.Clean(shownSum(st)))
	}
	_, err := l.out.WriteString(line + l.shown(st.Key) + "\n")
	return err
}

// shown is a key as it is shown; that of the directory itself is "./".
func (l *lister) shown(key string) string {
	if key = key[min(l.cut, len(key)):]; key == "" {
		return "./"
	}
	return show.Clean(key)
}

const (
	etagWide = 35 // an MD5 and the number of parts
	sumWide  = 22 // "crc64nvme:" and 12 digits
)

// wide is how much the columns of --long take.
func (l *lister) wide() int {
	if l.o.long {
		return etagWide + sumWide + 2
	}
	return 0
}

// shownSum is the most telling checksum the store keeps.
func shownSum(st transfer.Stored) string {
	if len(st.Sums) == 0 {
		return "-"
	}
	return st.Sums[0].Algorithm + ":" + sumText(st.Sums[0])
}

func sumText(s transfer.StoredSum) string {
	if s.Parts > 0 {
		return s.Value + "-" + strconv.Itoa(s.Parts)
	}
	return s.Value
}

func (l *lister) writeJSON(st transfer.Stored) error {
	line := listedLine{Type: "object", Key: st.Key}
	if isPrefix(st.Object) {
		l.prefixes++
		line.Type = "prefix"
	} else {
		l.objects++
		l.bytes += st.Size
		modified := st.Modified.UTC()
		line.Size, line.Modified, line.ETag = &st.Size, &modified, strings.Trim(st.ETag, `"`)
		for _, s := range st.Sums {
			if line.Sums == nil {
				line.Sums = map[string]string{}
			}
			line.Sums[s.Algorithm] = sumText(s)
			if s.Algorithm == "crc64nvme" && s.Parts == 0 {
				line.CRC64 = s.Value
			}
		}
	}
	return encodeLine(l.out, line)
}

// encodeLine writes v as one line of JSON, on which a terminal finds nothing to obey.
func encodeLine(w io.Writer, v any) error {
	line, err := show.AsJSON(v, "")
	if err == nil {
		_, err = w.Write(line)
	}
	return err
}

// sum ends the listing with what --total asks for.
func (l *lister) sum() error {
	switch {
	case !l.o.total:
		return nil
	case l.o.json:
		return encodeLine(l.out, struct {
			Type     string `json:"type"`
			Objects  int    `json:"objects"`
			Prefixes int    `json:"prefixes"`
			Bytes    int64  `json:"bytes"`
		}{"total", l.objects, l.prefixes, l.bytes})
	}
	text := fmt.Sprintf("total %s, %s bytes", objects(l.objects), show.Count(int(l.bytes)))
	if l.o.human {
		text = fmt.Sprintf("total %s, %s", objects(l.objects), show.Bytes(l.bytes))
	}
	if l.prefixes > 0 {
		text += fmt.Sprintf("; not counted: what is below %s PRE", show.Count(l.prefixes))
	}
	_, err := fmt.Fprintln(l.out, text)
	return err
}
