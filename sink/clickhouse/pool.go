package clickhouse

import (
	"slices"
	"sync"

	"deskhouse/source"
)

// maxIdle is how many blocks of one table are kept: one is filled while the
// other is on its way.
const maxIdle = 2

// blockPool keeps idle blocks for the next write.
type blockPool struct {
	mu   sync.Mutex
	idle []*block
}

func (p *blockPool) take(l *layout, reg source.Register, org uint64) *block {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range p.idle {
		if b.layout == l && b.reg == reg {
			p.idle = slices.Delete(p.idle, i, i+1)
			return b
		}
	}
	return newBlock(l, reg, org)
}

// give takes a block back, empty. Blocks of an older layout of the table go.
func (p *blockPool) give(b *block) {
	b.reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	same := 0
	p.idle = slices.DeleteFunc(p.idle, func(o *block) bool {
		if o.layout.res != b.layout.res || o.reg != b.reg {
			return false
		}
		same++
		return o.layout != b.layout || same >= maxIdle
	})
	p.idle = append(p.idle, b)
}
