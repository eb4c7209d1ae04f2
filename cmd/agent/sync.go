package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"agent/cmd/internal/config"
	"agent/cmd/internal/dest"
	"agent/transfer"
)

// syncOptions are the flags of sync, in both directions. What it shares with
// upload and download means the same there.
type syncOptions struct {
	run uploadOptions

	contents  bool // --checksum: neither times nor the journal are believed, contents are compared
	sizeOnly  bool
	delete    bool
	maxDelete quota

	written []string // the arguments before NAME:path was replaced
	sending string   // a flag of the command line that only the way to the store has; "" for none
}

func (o *syncOptions) addFlags(cmd *cobra.Command) {
	o.run.addFlags(cmd)
	o.maxDelete = quota{percent: 10, text: "10%"}
	f := cmd.Flags()
	f.BoolVar(&o.contents, "checksum", false, "compare contents instead of times: reads every file and asks for every object")
	f.BoolVar(&o.sizeOnly, "size-only", false, "take files of the same size for the same")
	f.BoolVar(&o.delete, "delete", false, "at the end delete what the source does not have")
	f.Var(&o.maxDelete, "max-delete", "with --delete: delete nothing if more than this would go, a number or a share of what is listed")
	// The setting 'checksum' is the algorithm everywhere.
	config.Rename(f, "checksum", "")
	config.Rename(f, algorithmFlag(cmd), "checksum")
}

// algorithmFlag is what the flag of the checksum's algorithm is called: sync
// has --checksum for what it is to rsync and rclone.
func algorithmFlag(cmd *cobra.Command) string {
	if cmd.Name() == "sync" {
		return "checksum-algorithm"
	}
	return "checksum"
}

func syncCommand(name string, s std) *cobra.Command {
	var o syncOptions
	cmd := &cobra.Command{
		Use:   "sync DIR DEST | sync DEST DIR",
		Short: "Make a destination, or a directory, like the other",
		Long: `Makes DEST, which is workspace/path or s3://bucket/key, like the directory DIR;
or DIR like DEST, where that comes first. Only what changed is moved. A side is
known by how it is written (./x, /x, s3://x, NAME:x), or is a directory here;
what could be both is refused: write ./x or s3://x.

Towards the store a file is sent if it is not stored, or if size, time or inode
are not as this job's journal has them and its bytes differ, or if the object is
not the one that the journal has. Without a record an object of the same size is
taken for the file, unless the file is newer. --checksum reads every file and
compares its bytes, --size-only compares nothing but sizes. Upload and sync of
the same pair share a journal.

Towards the directory it is a download of one prefix that replaces what differs,
your own files too. A file is fetched if it is not there, has another size, or was
replaced in the store; of the same size, and neither as this job left it nor of
the object's time, it is compared by the store's checksum.

--delete deletes what the source does not have, after all else. It deletes
nothing if anything could not be read, sent or listed, if the source is empty,
if the run is stopped, or if more than --max-delete would go; then it says so
and ends with 1. What filters, --min-age and the like leave out is left alone
on the other side, too. --dry-run shows each deletion.

All rules: docs/sync.md.

` + exitHelp,
		Example: fmt.Sprintf(`  %[1]s sync ./archive my-workspace/archive
  %[1]s sync --dry-run --delete ./archive my-workspace/archive
  %[1]s sync --delete --max-delete 500 --exclude '*.tmp' ./archive my-workspace/archive
  %[1]s sync s3://my-bucket/netcdf/ ./netcdf
  # in a crontab; a run that is still going is left alone (exit code 75):
  */15 * * * * %[1]s sync --quiet --min-age 5m --wait-credentials 10m /data/archive s3://workspaces-eodhp/my-workspace/archive
  # or let it be written:
  %[1]s schedule install archive --every 15m -- sync ./archive my-workspace/archive`, name),
		// Before NAME:path is replaced, and settings are laid under the flags:
		// afterwards nothing tells them apart.
		Args: func(cmd *cobra.Command, args []string) error {
			o.written = slices.Clone(args)
			for _, flag := range []string{"content-type", "dir-markers", "manifest"} {
				if cmd.Flags().Changed(flag) {
					o.sending = flag
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSync(cmd.Context(), name, args, o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func runSync(ctx context.Context, name string, args []string, o syncOptions, s std) error {
	t := &task{name: name, o: o.run, std: s, begun: time.Now(), sync: &o}
	if err := o.run.unattended.check(); err != nil {
		return err
	}
	err := t.resolveSync(ctx, args, o)
	if err == nil {
		err = t.run(ctx)
	}
	return t.reported(err)
}

// resolveSync turns arguments and flags into a task, or into a mistake.
func (t *task) resolveSync(ctx context.Context, args []string, o syncOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	var named [2]bool
	for i := range min(len(args), len(o.written), 2) {
		named[i] = args[i] != o.written[i]
	}
	way, err := dest.Direction(args, named)
	if err != nil {
		return err
	}
	remote := 1
	if way == dest.Down {
		remote = 0
	}
	if o.delete && !named[remote] {
		if err := dest.MayDelete(args[remote]); err != nil {
			return err
		}
	}
	if way == dest.Down {
		t.down, t.checksum = &download{}, transfer.CRC64NVME
		return t.resolveSyncDown(ctx, args, o)
	}
	return t.resolveSyncUp(ctx, args)
}

// check refuses flags that contradict each other, whichever way it goes.
func (o *syncOptions) check() error {
	switch {
	case o.contents && o.sizeOnly:
		return &dest.Mistake{Msg: "--checksum and --size-only can't go together", Hint: "one compares contents, the other nothing but sizes"}
	case o.delete && o.run.filter.filesFrom != "":
		return &dest.Mistake{Msg: "--delete and --files-from can't go together", Hint: "what a list leaves out may be there all the same: use --exclude and --include with --delete"}
	}
	return nil
}
