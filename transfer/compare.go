package transfer

// Compare says what tells a plan that a file is stored as it is.
type Compare uint8

// The ways. A size that differs tells with each of them.
const (
	// ByJournal believes the journal's record. An object that it does not know
	// is compared by its bytes.
	ByJournal Compare = iota
	// ByTime does too, but takes an object that the journal does not know for
	// the file, unless the file was modified after the object was stored.
	ByTime
	// BySize asks for nothing but the size.
	BySize
	// ByContent reads every file. Where the listing shows the object as the
	// journal has it, the journal's checksum is compared, else the store's.
	ByContent
)

// judge fills in what to do about s.Item, given what the journal and the
// listing know of it. listed says whether the listing speaks for the key at all.
func (s *Step) judge(rec Record, known bool, obj Object, stored, listed bool, by Compare) {
	s.Record, s.Known = rec, known
	s.Action, s.Reason, s.Foreign = Put, "not stored yet", false
	stored = stored && listed
	size := s.Item.Stat.Size
	switch {
	case known && rec.Doubtful() && (by != BySize || !stored || obj.Size != size):
		if !listed || stored && obj.Size == size {
			s.Action, s.Reason, s.Foreign = Check, "a run ended while it was sent", true
		}
	case !known && !stored:
	case by == BySize && stored && obj.Size == size:
		s.Action, s.Reason = Skip, "of the same size"
		s.Foreign = known && (obj.Size != rec.Stat.Size || !sameETag(obj.ETag, rec.ETag))
	case !known && obj.Size == size && by == ByTime && s.Item.Stat.MTime <= obj.Modified.UnixNano():
		s.Action, s.Reason = Skip, "of the same size, and not newer than what is stored"
	case !known && obj.Size == size:
		s.Action, s.Reason, s.Foreign = Check, "stored already, perhaps the same", true
	case !known:
		s.Reason = "the stored object has another size"
	case listed && !stored:
		s.Reason = "gone from the store"
	case size != rec.Stat.Size:
		s.Reason = "its size changed"
	case listed && obj.Size != rec.Stat.Size:
		s.Reason = "replaced in the store"
	case listed && !sameETag(obj.ETag, rec.ETag):
		s.Action, s.Reason, s.Foreign = Check, "replaced in the store, perhaps by the same", true
	case by == ByContent:
		s.Action, s.Reason = Check, "its bytes decide"
	case s.Item.Stat == rec.Stat, by == BySize:
		s.Action, s.Reason = Skip, "unchanged since it was stored"
	default:
		s.Action, s.Reason = Check, "touched since it was stored"
	}
}
