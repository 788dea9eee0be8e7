package batch

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// occupied returns a group with two runs in progress until free is called.
func occupied(stallTimeout time.Duration) (b *Group[int], free func()) {
	b = &Group[int]{Max: 4, AtOnce: 2, StallTimeout: stallTimeout, MaxWait: time.Hour}
	end := make(chan struct{})
	var runs sync.WaitGroup
	for range b.AtOnce {
		begun := make(chan struct{})
		runs.Go(func() { b.Answer(new(int), func([]*int) { close(begun); <-end }) })
		<-begun
	}
	return b, func() { close(end); runs.Wait() }
}

func TestGroup_answersEachQuestionOnceInBatchesOfMax(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, free := occupied(time.Hour)
		var mu sync.Mutex
		var sizes []int
		answers := make([]int, 10)
		var asking sync.WaitGroup
		for i := range answers {
			asking.Go(func() {
				b.Answer(&answers[i], func(batch []*int) {
					mu.Lock()
					defer mu.Unlock()
					sizes = append(sizes, len(batch))
					for _, asked := range batch {
						*asked++
					}
				})
			})
		}
		synctest.Wait()
		free()
		asking.Wait()
		if slices.Sort(sizes); !slices.Equal(sizes, []int{2, 4, 4}) {
			t.Errorf("runs of %v", sizes)
		}
		for i, n := range answers {
			if n != 1 {
				t.Errorf("%d is answered %d times", i, n)
			}
		}
		if b.running != 0 || b.spare > b.AtOnce || len(b.queue) != 0 {
			t.Errorf("%d running, %d spare and %d waiting at the end", b.running, b.spare, len(b.queue))
		}
	})
}

// Only the first waiter waits for runs that hang; it raises the limit for the others.
func TestGroup_stalledRunsDelayOneWaiterOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, free := occupied(10 * time.Millisecond)
		stalled := 0
		for range 20 {
			var among int
			asked := time.Now()
			b.Answer(new(int), func(batch []*int) { among = len(batch) })
			if among != 1 {
				t.Errorf("answered among %d", among)
			}
			if time.Since(asked) >= b.StallTimeout {
				stalled++
			}
		}
		if stalled != 1 {
			t.Errorf("%d of 20 waited", stalled)
		}
		if free(); b.running != 0 || b.spare != 0 || len(b.queue) != 0 {
			t.Errorf("%d running, %d spare and %d waiting at the end", b.running, b.spare, len(b.queue))
		}
	})
}

// Waiters do not run alone while runs keep starting.
func TestGroup_waitersStayBatchedWhileRunsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, free := occupied(200 * time.Millisecond)
		var mu sync.Mutex
		alone := 0
		var asking sync.WaitGroup
		const many = 400 // a hundred runs, of which each two take 10 ms
		for range many {
			asking.Go(func() {
				b.Answer(new(int), func(batch []*int) {
					mu.Lock()
					if len(batch) == 1 {
						alone++
					}
					mu.Unlock()
					time.Sleep(10 * time.Millisecond)
				})
			})
		}
		synctest.Wait()
		free()
		asking.Wait()
		if alone > 4 {
			t.Errorf("%d of %d were answered alone", alone, many)
		}
	})
}

// Under overload no waiter waits longer than MaxWait, and the runs stay full.
func TestGroup_overloadRefusesWaitersAfterMaxWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Group[int]{Max: 4, AtOnce: 2, StallTimeout: 25 * time.Millisecond, MaxWait: 100 * time.Millisecond}
		var answered, ran atomic.Int64
		var asking sync.WaitGroup
		// 250 runs, two at a time, 10 ms each: within MaxWait eleven pairs begin.
		const many = 1000
		for range many {
			asking.Go(func() {
				var runs int
				asked := time.Now()
				if b.Answer(&runs, func(batch []*int) {
					time.Sleep(10 * time.Millisecond)
					for _, of := range batch {
						*of++
					}
					ran.Add(int64(len(batch)))
				}) {
					answered.Add(1)
				}
				if waited := time.Since(asked); waited > b.MaxWait+10*time.Millisecond {
					t.Errorf("waited for %v", waited)
				}
			})
		}
		asking.Wait()
		if answered.Load() != ran.Load() || answered.Load() < 9*2*4 || answered.Load() > 11*2*4 {
			t.Errorf("%d of %d returned answered, and %d were", answered.Load(), many, ran.Load())
		}
		if b.running != 0 || len(b.queue) != 0 {
			t.Errorf("%d running and %d waiting at the end", b.running, len(b.queue))
		}
	})
}

// A panic in a run ends neither the other waiters nor the group.
func TestGroup_continuesAfterPanic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, free := occupied(time.Hour)
		var panics, asking sync.WaitGroup
		panics.Add(2)
		left := make([]bool, 5)
		for i := range left {
			asking.Go(func() {
				defer func() {
					if recover() != nil {
						panics.Done()
					}
					left[i] = true
				}()
				b.Answer(new(int), func([]*int) { panic("no") })
			})
		}
		synctest.Wait()
		free()
		asking.Wait()
		panics.Wait()
		if b.running != 0 || slices.Contains(left, false) {
			t.Errorf("%d running at the end; returned: %v", b.running, left)
		}
	})
}

// Each question is answered by a run that began after it.
func TestGroup_answerIsNotOlderThanQuestion(t *testing.T) {
	t.Parallel()
	b := &Group[int64]{Max: 4, AtOnce: 2, StallTimeout: time.Millisecond, MaxWait: time.Hour}
	start := time.Now()
	var asking sync.WaitGroup
	for range 32 {
		asking.Go(func() {
			for range 200 {
				var began int64
				asked := int64(time.Since(start))
				b.Answer(&began, func(batch []*int64) {
					now := int64(time.Since(start))
					time.Sleep(50 * time.Microsecond)
					for _, a := range batch {
						*a = now
					}
				})
				if began < asked {
					t.Errorf("asked at %d, answered as of %d", asked, began)
				}
			}
		})
	}
	asking.Wait()
	if b.running != 0 || b.spare > b.AtOnce || len(b.queue) != 0 {
		t.Errorf("%d running, %d spare and %d waiting at the end", b.running, b.spare, len(b.queue))
	}
}
