package batch

import (
	"slices"
	"sync"
	"time"
)

// Group answers together what is asked for at once. Who asks alone is answered at once; who asks while runs are under way is answered by
// the next, with everybody else who does. Each is answered by a run that began after they asked.
type Group[A any] struct {
	// Max is how many one run answers.
	Max int
	// AtOnce is how many runs there are before who asks waits for the next.
	AtOnce int
	// Patience is how long no run may begin while somebody waits. After it they are answered alone, as if nobody else were there, and as many
	// more runs as were slower than that may be under way until those end.
	Patience time.Duration
	// Longest is how long anybody waits for their turn. When more is asked for than runs can answer, only who goes keeps the line short.
	Longest time.Duration

	mu      sync.Mutex
	running int
	// spare is how many may run more than AtOnce.
	spare   int
	waiting []*waiting[A]
	// moved is when a run last took some of those who wait.
	moved time.Time
}

// waiting is what somebody waits for.
type waiting[A any] struct {
	asked *A
	// turn receives what whoever waits is to run, themselves among it.
	turn chan []*waiting[A]
	// done is closed when somebody else has run it.
	done chan struct{}
}

// Answer has something answered, by run or by that of somebody who asks at the same time, and reports whether it came to that: not if it was
// not their turn for too long. Run answers what it is given, which whoever gave it waits for: if it panics, it leaves that as it is.
func (b *Group[A]) Answer(asked *A, run func([]*A)) (answered bool) {
	w, began := b.wait(asked), time.Now()
	if w == nil {
		defer b.next(began)
		run([]*A{asked})
		return true
	}
	patience := time.NewTimer(b.Patience)
	defer patience.Stop()
	for {
		select {
		case <-w.done:
			return true
		case batch := <-w.turn:
			b.lead(batch, run)
			return true
		case <-patience.C:
			switch left, alone := b.leave(w, began); {
			case alone:
				defer b.next(time.Now())
				run([]*A{asked})
				return true
			case left:
				return false
			}
			patience.Reset(b.Patience)
		}
	}
}

// wait returns nil if whoever asks is to run it, and then the next.
func (b *Group[A]) wait(asked *A) *waiting[A] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running < b.AtOnce+b.spare {
		b.running++
		return nil
	}
	w := &waiting[A]{asked, make(chan []*waiting[A], 1), make(chan struct{})}
	b.waiting = append(b.waiting, w)
	return w
}

// leave reports whether whoever has waited since began need not any longer: to be answered alone, beside all others, if nobody has taken anything
// for long, or because it was too long for them. What somebody has taken is waited for.
func (b *Group[A]) leave(w *waiting[A], began time.Time) (left, alone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.waiting, w)
	alone = time.Since(b.moved) >= b.Patience
	if at < 0 || !alone && time.Since(began) < b.Longest {
		return false, false
	}
	b.waiting = slices.Delete(b.waiting, at, at+1)
	if alone {
		b.running, b.spare = b.running+1, min(b.spare+1, b.AtOnce)
	}
	return true, alone
}

// next gives those who wait the place of a run that has ended, unless that was slow and others took its place before.
func (b *Group[A]) next(began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spare > 0 && time.Since(began) > b.Patience {
		b.spare--
	}
	if b.running > b.AtOnce+b.spare {
		b.running--
		return
	}
	batch := b.waiting[:min(len(b.waiting), b.Max)]
	b.waiting = b.waiting[len(batch):]
	if len(batch) == 0 {
		if b.running--; b.running == 0 {
			b.spare = 0
		}
		return
	}
	b.moved = time.Now()
	batch[0].turn <- batch
}

func (b *Group[A]) lead(batch []*waiting[A], run func([]*A)) {
	defer b.next(time.Now())
	asked := make([]*A, 0, len(batch))
	for _, w := range batch {
		asked = append(asked, w.asked)
		defer close(w.done)
	}
	run(asked)
}
