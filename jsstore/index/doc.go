// Package index keeps an index of a namespace in a file, from which executions are
// found by any [engine.Filter] among millions. It is a view that any process can
// build and throw away: all that it knows it has read from the namespace, it decides
// nothing, and nothing but lists rests on it.
//
// It reads by sequence what the three parts of a namespace hold, first the queue, then
// the timers, then the records, and goes on where it stopped, in this process or the
// next. What is removed leaves no trace there that lasts, so that it forgets
//   - by its own clock what was stored with a time to live,
//   - with its tree what it sees the grave of,
//   - what the bucket turns out not to hold: if that has fewer messages than the
//     index knows of, it finds by halves where some are missing, and asks the leader
//     for each,
//   - what was queued and is not in the queue any more: it looks for that on every
//     page that it returns, and for some of the rest whenever it catches up.
//
// An index's clock should be right to a second: by it what has a time to live is gone.
// It does not notice a bucket that is set back to an earlier state and then written
// past where it was; remove the file then.
//
// What it costs, measured by BenchmarkIndex with a million executions (-records), a
// third of them below others, 7 % failed, two pairs of metadata with each root, the
// server in the same process, on two cores with others at work: the first build takes 51
// to 55 s of a processor, the server's part included, which was 66 to 90 s by the clock
// with two to four processes for each core and 210 s with ten; 690 MiB of disk; 430 MiB of
// memory while it builds. Later it takes in 3,000 to 27,000 messages a second. A page of a
// hundred is found in 0.5 to 35 ms by any filter, however deep, but for these: 50 ms by a
// text that a hundred errors have, 130 ms by one that tens of thousands have, 130 ms where
// all are queued and each is looked for. To find that nothing is new takes 35 to 150 ms.
//
// It is an SQLite database (modernc.org/sqlite, in Go). One process writes at a time,
// which a lock beside the file sees to; others read meanwhile.
package index
