package rosie

import (
	"runtime"
	"sync"
)

// pool parses units on as many goroutines as there are processors. Units are independent of each other, so that the
// result does not depend on their number.
type pool struct {
	jobs chan func()
	busy sync.WaitGroup
}

func newPool() *pool {
	p := &pool{jobs: make(chan func())}
	for range runtime.GOMAXPROCS(0) {
		p.busy.Go(func() {
			for job := range p.jobs {
				job()
			}
		})
	}
	return p
}

// do runs a job soon. It waits while all goroutines are busy.
func (p *pool) do(job func()) { p.jobs <- job }

// wait returns when all jobs are done. No more may come.
func (p *pool) wait() {
	close(p.jobs)
	p.busy.Wait()
}
