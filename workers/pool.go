package workers

// A pool runs functions in goroutines and reuses idle ones: the stack of a new goroutine is
// small, and each short attempt would have to grow it again by copying.
type pool struct {
	work   chan func() // received by idle goroutines
	closed chan struct{}
}

func newPool() *pool { return &pool{work: make(chan func()), closed: make(chan struct{})} }

// run starts fn at once, in an idle goroutine or in a new one.
func (p *pool) run(fn func()) {
	select {
	case p.work <- fn:
	default:
		go p.worker(fn)
	}
}

// worker runs fn, and then every function that it receives.
func (p *pool) worker(fn func()) {
	for {
		fn()
		select {
		case fn = <-p.work:
		case <-p.closed:
			return
		}
	}
}

// close ends the idle goroutines, and each other one when its function returns.
func (p *pool) close() { close(p.closed) }
