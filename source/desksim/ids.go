package desksim

// Ids are eighteen digits, as in captures, and fit a signed 64-bit integer. The kind of a record is part of its id, so
// that an id of one module is never a record of another; the last digit is a hash, so that a guessed id is no record.
const idBase uint64 = 900_100_000_000_000_000

type kind uint64

const (
	kindTicket kind = iota + 1
	kindDepartment
	kindProduct
	kindContract
	kindField
	kindContact
	kindAccount
	kindAgent
	kindTeam
	kindLayout
	kindSLA
	kindWebhook
	kindSkill
	kindModule
	kindView
	kindOldField // Config.OtherFieldIDs
)

const kindSpan = 1_000_000_000_000

func (k kind) id(seq uint32) uint64 {
	return idBase + uint64(k)*kindSpan + uint64(seq)*10 + mix2(uint64(k), uint64(seq))%10
}

// seq returns the number behind an id of this kind; ok is false for any other id.
func (k kind) seq(id uint64) (seq uint32, ok bool) {
	low := idBase + uint64(k)*kindSpan
	if id < low || id >= low+kindSpan {
		return 0, false
	}
	n := (id - low) / 10
	if n > 1<<32-1 || k.id(uint32(n)) != id {
		return 0, false
	}
	return uint32(n), true
}
