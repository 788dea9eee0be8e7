package batch

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// occupied is a group of which two runs are under way, until free is called.
func occupied(patience time.Duration) (b *Group[int], free func()) {
	b = &Group[int]{Max: 4, AtOnce: 2, Patience: patience, Longest: time.Hour}
	end := make(chan struct{})
	var runs sync.WaitGroup
	for range b.AtOnce {
		begun := make(chan struct{})
		runs.Go(func() { b.Answer(new(int), func([]*int) { close(begun); <-end }) })
		<-begun
	}
	return b, func() { close(end); runs.Wait() }
}

func TestGroup_answers_everybody_once_and_no_more_than_they_may_together(t *testing.T) {
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
		if b.running != 0 || b.spare > b.AtOnce || len(b.waiting) != 0 {
			t.Errorf("%d run, %d may more, and %d wait when nobody asks", b.running, b.spare, len(b.waiting))
		}
	})
}

// Runs that hang make one wait, and not everybody after.
func TestGroup_lets_go_who_waits_too_long(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, free := occupied(10 * time.Millisecond)
		patient := 0
		for range 20 {
			var among int
			asked := time.Now()
			b.Answer(new(int), func(batch []*int) { among = len(batch) })
			if among != 1 {
				t.Errorf("answered among %d", among)
			}
			if time.Since(asked) >= b.Patience {
				patient++
			}
		}
		if patient != 1 {
			t.Errorf("%d of 20 have waited", patient)
		}
		if free(); b.running != 0 || b.spare != 0 || len(b.waiting) != 0 {
			t.Errorf("%d run, %d may more, and %d wait when nobody asks", b.running, b.spare, len(b.waiting))
		}
	})
}

// However many wait, they do so together as long as it is anybody's turn.
func TestGroup_keeps_together_who_waits_while_runs_end(t *testing.T) {
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

// When more is asked for than runs can answer, nobody waits longer than they may, and the runs answer as many as they can.
func TestGroup_sends_away_who_is_one_too_many(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Group[int]{Max: 4, AtOnce: 2, Patience: 25 * time.Millisecond, Longest: 100 * time.Millisecond}
		var answered, ran atomic.Int64
		var asking sync.WaitGroup
		const many = 1000 // 250 runs, of which each two take 10 ms: eleven times two have begun when the longest wait is over
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
				if waited := time.Since(asked); waited > b.Longest+10*time.Millisecond {
					t.Errorf("waited for %v", waited)
				}
			})
		}
		asking.Wait()
		if answered.Load() != ran.Load() || answered.Load() < 9*2*4 || answered.Load() > 11*2*4 {
			t.Errorf("%d of %d are told that they are answered, and %d were", answered.Load(), many, ran.Load())
		}
		if b.running != 0 || len(b.waiting) != 0 {
			t.Errorf("%d run, and %d wait when nobody asks", b.running, len(b.waiting))
		}
	})
}

// Who panics leaves what they were given as it was, and takes nobody with them.
func TestGroup_goes_on_after_a_panic(t *testing.T) {
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
			t.Errorf("%d run when nobody asks; %v have left", b.running, left)
		}
	})
}

// However many ask, each has an answer of a run that began after they asked.
func TestGroup_answers_with_nothing_older_than_the_question(t *testing.T) {
	t.Parallel()
	b := &Group[int64]{Max: 4, AtOnce: 2, Patience: time.Millisecond, Longest: time.Hour}
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
	if b.running != 0 || b.spare > b.AtOnce || len(b.waiting) != 0 {
		t.Errorf("%d run, %d may more, and %d wait when nobody asks", b.running, b.spare, len(b.waiting))
	}
}
