package main

import "slices"

// contest is one workload, and all who upload it in turns. The first runner is
// the one whose ratio to each other is reported.
type contest struct {
	name, title string
	load        load
	perObject   bool // its CPU is told per object instead of per GB
	plain       bool // over http
	sandbox     bool // to the sandbox instead of the sink
	rounds      int  // at most so many; 0: as many as are asked for
	times       int  // so many times the rounds that are asked for; 0: once
	runners     []runner
	goals       []goal
}

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

var (
	fourGiB     = load{shares: []share{{4, gib}}, scaleSize: true}
	fiveGiB     = load{shares: []share{{1, 5 * gib}}, scaleSize: true}
	thirtyGiB   = load{shares: []share{{1, 30 * gib}}, scaleSize: true, sparse: true}
	twoGiB      = load{shares: []share{{2, gib}}, scaleSize: true}
	tenThousand = same(10_000, 10*kib)
)

// contests is everything that is measured. A figure that is to be watched is
// one more runner, a shape of data one more contest. Those of the same files
// stand together: the files are made once.
var contests = []contest{
	{
		name: "large", title: "4 files of 1 GiB, https", load: fourGiB,
		runners: slices.Concat([]runner{ours, raw(4), roomy}, peers),
		goals: []goal{
			{than: raw(4).name, most: 1.08},
			{than: bestBare, most: 1.15},
			{than: bestChecking, most: 0.65},
		},
	},
	{
		name: "journal", title: "what the journal costs: 4 files of 1 GiB, https", load: fourGiB, times: 3,
		runners: []runner{ours, unjournalled},
		goals:   []goal{{than: unjournalled.name, most: 1.02}},
	},
	{
		name: "large-http", title: "4 files of 1 GiB, http", load: fourGiB, plain: true,
		runners: slices.Concat([]runner{ours, raw(4)}, quick),
		goals:   []goal{{than: raw(4).name, most: 1.5}},
	},
	{
		name: "small", title: "10,000 files of 10 KiB, https", load: tenThousand, perObject: true,
		runners: slices.Concat([]runner{ours, raw(32), sdk}, peers),
		goals: []goal{
			{than: raw(32).name, most: 1.6},
			{than: everyPeer, most: 1 / 1.5},
			{of: ofWall, than: everyPeer, most: 1},
		},
	},
	{
		name: "journal-small", title: "what the journal costs: 10,000 files of 10 KiB, https", load: tenThousand, perObject: true, times: 3,
		runners: []runner{ours, unjournalled},
		goals:   []goal{{than: unjournalled.name, most: 1.10}},
	},
	{
		name: "small-http", title: "10,000 files of 10 KiB, http", load: tenThousand, perObject: true, plain: true, rounds: 3,
		runners: slices.Concat([]runner{ours, raw(32)}, quick),
	},
	{
		name: "small-sandbox", title: "10,000 files of 10 KiB, https, to the sandbox", load: tenThousand, perObject: true, sandbox: true,
		runners: slices.Concat([]runner{ours}, peers),
		goals:   []goal{{of: ofWall, than: everyPeer, most: 1, spread: true}},
	},
	{
		name: "large-sandbox", title: "2 files of 1 GiB, https, to the sandbox", load: twoGiB, sandbox: true, rounds: 3,
		runners: slices.Concat([]runner{ours, awsRunner}, quick),
		goals:   []goal{{of: ofWall, than: everyPeer, most: 1, spread: true}},
	},
	{
		name: "tiny", title: "100,000 files of 4 KiB, https", load: same(100_000, 4*kib), perObject: true, rounds: 2,
		runners: slices.Concat([]runner{ours, raw(32)}, quick),
	},
	{
		name: "tiles", title: "10,000 files of 256 KiB, https", load: same(10_000, 256*kib), perObject: true, rounds: 3,
		runners: slices.Concat([]runner{ours, raw(8)}, quick),
	},
	{
		name: "delivery", title: "an Earth-observation delivery of 40 files, https", load: delivery, rounds: 3,
		runners: slices.Concat([]runner{ours, raw(4)}, quick),
	},
	{
		name: "single", title: "1 file of 5 GiB, https", load: fiveGiB, rounds: 3,
		runners: slices.Concat([]runner{ours, raw(4)}, quick),
	},
	{
		name: "sparse", title: "1 sparse file of 30 GiB, https", load: thirtyGiB, rounds: 2,
		runners: slices.Concat([]runner{ours, raw(4)}, byParts),
	},
}

func contestNames() []string {
	var names []string
	for _, c := range contests {
		names = append(names, c.name)
	}
	return names
}
