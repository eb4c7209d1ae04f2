package main

import (
	"context"
	"fmt"
	"mime"
	"os"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/term"

	"agent/cmd/internal/dest"
	"agent/cmd/internal/show"
	"agent/journal"
	"agent/transfer"
)

// uploadOptions are the flags of upload. Zero values mean what the help says.
type uploadOptions struct {
	runOptions
	manifestOptions

	allFiles, noFollow bool
	dirMarkers         string
	contentType        string
	checksum           string
	memory             byteSize
	signPayload        bool
}

func (o *uploadOptions) addFlags(cmd *cobra.Command) {
	o.runOptions.addFlags(cmd, runWords{
		nothing:  "send nothing",
		partSize: "part `size`; auto: 16MiB, less on a link that is slow or not known yet. Grown where a file would need more than 10,000 parts",
		parallel: "large parts in flight at once, a `number`; auto: as many as are of use, up to 64. Small files go at four times that",
	})
	o.manifestOptions.addFlags(cmd)
	o.memory = 64 << 20
	f := cmd.Flags()
	f.BoolVar(&o.allFiles, "all-files", false, "send .DS_Store ._* Thumbs.db .nfs* .ipynb_checkpoints too")
	f.BoolVar(&o.noFollow, "no-follow-symlinks", false, "leave out symbolic links")
	f.StringVar(&o.dirMarkers, "dir-markers", "", "put an empty object of this `name` into every directory, e.g. .s3keep")
	f.StringVar(&o.contentType, "content-type", "", "`type` of every object (default: by the file's extension)")
	f.StringVar(&o.checksum, algorithmFlag(cmd), "crc64nvme", "`algorithm` sent with every part: crc64nvme, crc32c, none")
	f.Var(&o.memory, "memory", "memory for buffers")
	f.BoolVar(&o.signPayload, "sign-payload", false, "over plain http: sign the bytes too (SHA-256, slower)")
}

func uploadCommand(name string, s std) *cobra.Command {
	var o uploadOptions
	cmd := &cobra.Command{
		Use:   "upload SOURCE... DEST",
		Short: "Send files and directories",
		Long: `Sends files and directories to DEST, which is workspace/path or
s3://bucket/key. What is in a directory goes under DEST; a single file becomes
the key DEST, or keeps its name under DEST/. With several sources each keeps
its name under DEST.

Run the same command again after any interruption: it goes on from the last
part. Files that are stored and unchanged are not sent again.

` + exitHelp,
		Example: fmt.Sprintf(`  %[1]s upload ./dataset my-workspace/dataset
  %[1]s upload scene.tif my-workspace/scenes/
  %[1]s upload *.nc s3://my-bucket/netcdf/
  %[1]s upload --dry-run ./dataset my-workspace/dataset`, name),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runUpload(cmd.Context(), name, args, o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// task is an upload with everything about it decided, before anything is
// opened.
type task struct {
	name string
	o    uploadOptions
	std  std
	*connection
	args     []string // the sources as they were given
	files    []transfer.Source
	sync     *syncOptions // nil where it is no sync
	down     *download    // what a download has in their place; nil in an upload
	prefix   string       // of all its keys
	take     *selection
	checksum transfer.Checksum
	terminal bool
	begun    time.Time
	outcome  *journal.Outcome // of the run, once it has ended
	// tokenLeft is the life, in seconds, that the credentials had then.
	tokenLeft *float64
	// handedOver: another process does the task, and reports it.
	handedOver bool
}

func runUpload(ctx context.Context, name string, args []string, o uploadOptions, s std) error {
	t := &task{name: name, o: o, std: s, begun: time.Now()}
	if err := o.unattended.check(); err != nil {
		return err
	}
	err := t.resolve(ctx, args)
	if err == nil {
		err = t.run(ctx)
	}
	return t.reported(err)
}

// resolve turns arguments and flags into a task, or into a mistake.
func (t *task) resolve(ctx context.Context, args []string) (err error) {
	if t.checksum, err = parseChecksum(t.o.checksum); err != nil {
		return err
	}
	if t.o.parallel < 0 || t.o.parallel > 1024 {
		return &dest.Mistake{Msg: fmt.Sprintf("--parallel %d is not between 1 and 1024", t.o.parallel)}
	}
	if p := t.o.partSize; p != 0 && (p < 5<<20 || p > 5<<30) {
		return &dest.Mistake{Msg: "--part-size " + t.o.partSize.String() + " is not between 5MiB and 5GiB", Hint: "S3 takes no other parts"}
	}
	if err := t.checkNames(); err != nil {
		return err
	}
	var destination string
	t.args, destination, err = dest.Split(dest.Expand(args, runtime.GOOS == "windows"))
	if err != nil {
		return err
	}
	t.o.connection.limiter = t.o.limiter()
	if t.connection, err = connect(ctx, t.o.connection, destination, t.o.parallel.most()*4+4); err != nil {
		return err
	}
	if t.files, err = dest.Sources(t.args, t.dest); err != nil {
		return err
	}
	if err := t.o.checkManifest(t.files); err != nil {
		return err
	}
	t.prefix = t.dest.Prefix
	if len(t.files) == 1 {
		t.prefix = t.files[0].Prefix
	} else if t.prefix != "" && t.prefix[len(t.prefix)-1] != '/' {
		t.prefix += "/"
	}
	if t.o.filter.filesFrom != "" && t.o.dirMarkers != "" {
		return &dest.Mistake{Msg: "--files-from and --dir-markers can't go together", Hint: "only listed files are taken"}
	}
	if t.take, err = t.o.filter.resolve(t.std, t.files, t.prefix); err != nil {
		return err
	}
	t.terminal = isTerminal(t.std.err) && !t.o.json && !t.o.quiet
	return nil
}

// checkNames refuses what would be sent to the store and can't be.
func (t *task) checkNames() error {
	if c := t.o.contentType; c != "" {
		if _, _, err := mime.ParseMediaType(c); err != nil || !httpguts.ValidHeaderFieldValue(c) {
			return &dest.Mistake{Msg: fmt.Sprintf("--content-type %q is no media type", c), Hint: "write for example image/tiff"}
		}
	}
	m := t.o.dirMarkers
	if m == "." || m == ".." || strings.Contains(m, "/") || strings.ContainsFunc(m, unicode.IsControl) || !utf8.ValidString(m) {
		return &dest.Mistake{Msg: fmt.Sprintf("--dir-markers %q is no file name", m), Hint: "write for example .s3keep"}
	}
	return nil
}

func parseChecksum(s string) (transfer.Checksum, error) {
	for _, c := range []transfer.Checksum{transfer.CRC64NVME, transfer.CRC32C, transfer.NoChecksum} {
		if c.String() == s {
			return c, nil
		}
	}
	return 0, &dest.Mistake{Msg: fmt.Sprintf("there is no checksum %q", s), Hint: "choose crc64nvme, crc32c or none"}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (t *task) mode() show.Mode {
	switch {
	case t.o.json:
		return show.JSON
	case t.o.quiet:
		return show.Quiet
	default:
		return show.Auto
	}
}

// patience is how long the store may be away: what was asked for, else without
// end where somebody is watching, else a day.
func (t *task) patience() time.Duration {
	if t.o.patience > 0 || t.terminal {
		return t.o.patience
	}
	return 24 * time.Hour
}
