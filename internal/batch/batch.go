package batch

import (
	"slices"
	"sync"
	"time"
)

// Group answers concurrent questions of one type in shared runs. A question is run alone if fewer
// than AtOnce runs are in progress; otherwise it waits for the next run. A question is answered by
// a run that began after it was asked.
type Group[A any] struct {
	// Max is how many questions one run answers.
	Max int
	// AtOnce is how many runs may be in progress before questions wait.
	AtOnce int
	// StallTimeout is how long a waiter waits without any run starting. After it the waiter runs
	// alone. Each such run raises the limit of concurrent runs by one, up to twice AtOnce; each
	// slow run that ends lowers it again.
	StallTimeout time.Duration
	// MaxWait is how long a waiter may wait. It bounds the queue under overload.
	MaxWait time.Duration

	mu      sync.Mutex
	running int
	// spare is by how much the limit of concurrent runs exceeds AtOnce.
	spare int
	queue []*waiter[A]
	// started is when a run last took waiters from the queue.
	started time.Time
}

// waiter is a question in the queue.
type waiter[A any] struct {
	asked *A
	// turn receives the batch that the waiter must run, which includes its own question.
	turn chan []*waiter[A]
	// done is closed when another waiter has run the question.
	done chan struct{}
}

// Answer answers a question, by run or by the run of a concurrent caller. It returns false if the
// question waited longer than MaxWait. run answers the questions of the slice, whose callers wait
// for it: after a panic in run those questions count as answered, unchanged.
func (b *Group[A]) Answer(asked *A, run func([]*A)) (answered bool) {
	w, began := b.enqueue(asked), time.Now()
	if w == nil {
		defer b.next(began)
		run([]*A{asked})
		return true
	}
	stall := time.NewTimer(b.StallTimeout)
	defer stall.Stop()
	for {
		select {
		case <-w.done:
			return true
		case batch := <-w.turn:
			b.lead(batch, run)
			return true
		case <-stall.C:
			switch removed, alone := b.dequeue(w, began); {
			case alone:
				defer b.next(time.Now())
				run([]*A{asked})
				return true
			case removed:
				return false
			}
			stall.Reset(b.StallTimeout)
		}
	}
}

// enqueue adds a question to the queue. It returns nil, and counts a run, if the caller must run
// the question itself and then call next.
func (b *Group[A]) enqueue(asked *A) *waiter[A] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running < b.AtOnce+b.spare {
		b.running++
		return nil
	}
	w := &waiter[A]{asked, make(chan []*waiter[A], 1), make(chan struct{})}
	b.queue = append(b.queue, w)
	return w
}

// dequeue removes a waiter that timed out. alone reports that no run has started for StallTimeout,
// so that the waiter must run alone, in addition to the runs in progress. Otherwise it removes a
// waiter that has waited for MaxWait since began. A waiter that a run has taken stays until that
// run ends.
func (b *Group[A]) dequeue(w *waiter[A], began time.Time) (removed, alone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.queue, w)
	alone = time.Since(b.started) >= b.StallTimeout
	if at < 0 || !alone && time.Since(began) < b.MaxWait {
		return false, false
	}
	b.queue = slices.Delete(b.queue, at, at+1)
	if alone {
		b.running, b.spare = b.running+1, min(b.spare+1, b.AtOnce)
	}
	return true, alone
}

// next starts the next run after one that began at began has ended. It starts none if the limit was
// raised during a slow run and more runs than allowed are in progress.
func (b *Group[A]) next(began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spare > 0 && time.Since(began) > b.StallTimeout {
		b.spare--
	}
	if b.running > b.AtOnce+b.spare {
		b.running--
		return
	}
	batch := b.queue[:min(len(b.queue), b.Max)]
	b.queue = b.queue[len(batch):]
	if len(batch) == 0 {
		if b.running--; b.running == 0 {
			b.spare = 0
		}
		return
	}
	b.started = time.Now()
	batch[0].turn <- batch
}

// lead runs a batch for all its waiters.
func (b *Group[A]) lead(batch []*waiter[A], run func([]*A)) {
	defer b.next(time.Now())
	asked := make([]*A, 0, len(batch))
	for _, w := range batch {
		asked = append(asked, w.asked)
		defer close(w.done)
	}
	run(asked)
}
