// Package index keeps an index of a namespace in a file, in which any [engine.Filter] finds
// executions among millions. It is a view that any process can build and throw away: it learns
// everything from the namespace and decides nothing, and only lists depend on it.
//
// It reads the three areas of a namespace by sequence, first the queue, then the timers, then
// the records, and continues where it stopped, in this process or the next. Removed executions
// leave no lasting trace there, so the index forgets
//   - an execution with a time to live, by its own clock,
//   - a deleted tree, when it reads the tree's grave,
//   - records that are missing in the bucket: if the bucket has fewer messages than the index
//     expects, it finds the gaps by bisection, and asks the leader about each missing record,
//   - executions that are no longer queued: it looks up those on every page that it returns, and
//     some of the others whenever it catches up.
//
// The index's clock should be right to a second: it decides when an execution with a time to
// live is gone. The index does not notice a bucket that was restored to an earlier state and
// has since grown beyond the index's position; remove the file then.
//
// Costs, measured by BenchmarkIndex with a million executions (-records), a third of them below
// others, 7 % failed, two pairs of metadata with each root, the server in the same process, on
// two cores with other programs running: the first build takes 51 to 55 s of processor time,
// including the server's share. In wall-clock time that was 66 to 90 s with two to four
// processes for each core, and 210 s with ten. It takes 690 MiB of disk, and 430 MiB of memory
// during the build. Later the index reads 3,000 to 27,000 messages a second. Any filter finds a
// page of a hundred in 0.5 to 35 ms, however deep, with these exceptions: 50 ms for a text that
// occurs in a hundred errors, 130 ms for one that occurs in tens of thousands, 130 ms if all
// executions are queued and each is looked up. It takes 35 to 150 ms to find that nothing is
// new.
//
// It is an SQLite database (modernc.org/sqlite, in Go). A lock file makes sure that only one
// process writes at a time; others read meanwhile.
package index
