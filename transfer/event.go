package transfer

import "time"

// Event is something that happened. It is sent once, outward only; whoever
// takes it must not block.
type Event struct {
	Kind   Kind
	Key    string
	Path   string
	Bytes  int64  // see Kind
	Text   string // a reason or a message, without secrets
	Hint   string // what would end it (Waiting); "" where nobody can tell
	Err    error
	Wait   time.Duration // how long until the next attempt (Retry)
	Action Action        // Planned
	Lanes  int           // how many large requests are made at once (Paced)
	// Verified: the store's answer carried the checksum of what was sent (Done).
	Verified bool
}

// Kind says what an Event is about.
type Kind uint8

// The kinds. Bytes is the item's size unless another meaning is given.
const (
	Found    Kind = iota + 1 // one more item was found
	Scanned                  // the scan has ended: the totals are final
	Ignored                  // a directory entry is left out by rule; Text says which
	Planned                  // an item's Action was decided; Text is the reason
	There                    // an item needs nothing: it is stored already; Text is how that is known
	Started                  // an item is being sent
	Moved                    // Bytes went over the wire; negative when an attempt failed and they must go again
	Saved                    // Bytes of an interrupted item are stored already and are not sent again
	PartDone                 // one part of Bytes was acknowledged
	Done                     // an item is stored
	Failed                   // an item, or a directory entry, failed; Err says why. What Moved and Saved told of it was taken back
	Retry                    // an attempt failed with Err and is made again after Wait
	Waiting                  // nothing moves: Text is "what: why", such as "credentials: environment: the key is dead"
	Going                    // the waiting is over
	Notice                   // something a user should know: Text
	Paced                    // how many requests are made at once has settled, or was lowered because of Err: Text
	Deleted                  // what the other side does not have was deleted
)

// Action is what Plan decides for an item.
type Action uint8

// The actions.
const (
	Put    Action = iota + 1 // send it
	Skip                     // it is stored
	Check                    // its bytes decide: read, compare, and send or fetch what differs
	Get                      // fetch it
	Delete                   // the other side does not have it: delete it
)

func (a Action) String() string {
	switch a {
	case Put:
		return "put"
	case Skip:
		return "skip"
	case Check:
		return "check"
	case Get:
		return "get"
	case Delete:
		return "delete"
	default:
		return "?"
	}
}
