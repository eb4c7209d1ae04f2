package transfer_test

import (
	"errors"
	"fmt"
	"testing"

	"context"

	"agent/transfer"
	"agent/transfer/storetest"
)

func TestWhatBecame(t *testing.T) {
	for name, deny := range map[string]bool{"listed": false, "listing denied": true} {
		t.Run(name, func(t *testing.T) {
			store, j := &storetest.Memory{}, &storetest.Journal{}
			want := map[string]transfer.Fate{}
			for i := range 2500 {
				key := fmt.Sprintf("ws/%05d", i)
				obj := store.Set(key, []byte(key))
				if err := j.Done(transfer.Record{Key: key, Stat: transfer.Stat{Size: obj.Size}, ETag: obj.ETag}); err != nil {
					t.Fatal(err)
				}
				want[key] = transfer.StillThere
				switch i % 100 {
				case 7:
					store.Delete(key)
					want[key] = transfer.Gone
				case 8:
					store.Set(key, []byte("other    "))
					want[key] = transfer.Replaced
				}
			}
			store.Set("ws/extra", nil)
			if deny {
				store.Fail = func(_ context.Context, op, _ string) error {
					if op == "List" {
						return transfer.ErrDenied
					}
					return nil
				}
			}
			n := 0
			for k, err := range transfer.WhatBecame(t.Context(), j, store, "ws/") {
				if err != nil {
					t.Fatal(err)
				}
				if k.Fate != want[k.Record.Key] {
					t.Errorf("%s: %d, want %d", k.Record.Key, k.Fate, want[k.Record.Key])
				}
				n++
			}
			if n != 2500 {
				t.Errorf("%d records", n)
			}
		})
	}
}

func TestWhatBecameFails(t *testing.T) {
	j := &storetest.Journal{}
	if err := j.Done(transfer.Record{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	store := &storetest.Memory{Fail: func(context.Context, string, string) error { return transfer.ErrUnreachable }}
	for _, err := range transfer.WhatBecame(t.Context(), j, store, "") {
		if !errors.Is(err, transfer.ErrUnreachable) {
			t.Errorf("%v", err)
		}
		return
	}
	t.Error("it ended without an error")
}
