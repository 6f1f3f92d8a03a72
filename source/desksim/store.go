package desksim

// store holds all records of a small table, deleted ones too, by id and in order of creation. Stored records are never
// changed, only replaced.
type store[T any] struct {
	ids  []uint64
	rows map[uint64]*T
}

func newStore[T any](n int) store[T] { return store[T]{rows: make(map[uint64]*T, n)} }

func (s *store[T]) put(id uint64, r *T) {
	if s.rows[id] == nil {
		s.ids = append(s.ids, id)
	}
	s.rows[id] = r
}

// each calls visit for every record in order of creation.
func (s *store[T]) each(visit func(*T)) {
	for _, id := range s.ids {
		visit(s.rows[id])
	}
}

// nextSeq is the number of the record to create next.
func (s *store[T]) nextSeq() uint32 { return uint32(len(s.ids)) }

// life is what trash and purge do to a product or a contract.
type life struct {
	state     State
	deletedAt int64
	deletedBy uint16
}
