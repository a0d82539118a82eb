// Package engine is the durable task engine that users type: tasks and their
// typed handles, the code bound to them, the stored execution, the events that
// move it and [Apply], the pure function that decides every move.
//
// The engine knows no server: what it needs of one is the interface [Store]. It
// starts no goroutine that outlives a call.
package engine
