package pipeline

import (
	"context"
	"errors"
)

// ErrEnded: the sync ended while it was asked for something, which is not done
// whole; the next sync may be asked again.
var ErrEnded = errors.New("the sync ended meanwhile; ask again")

// during gives work that somebody asks for the life of the sync: nobody would
// answer it afterwards. The caller calls stop in the end.
func (p *Pipeline) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-p.ended:
			cancel(ErrEnded)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}

// whyEnded is err, or ErrEnded where that is why ctx was over.
func whyEnded(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrEnded) {
		return ErrEnded
	}
	return err
}
