package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/durable-execution/durable/jsstore"
)

const (
	// lockFile is locked by the process that has the directory open; the operating system
	// unlocks it however that process ends. It holds the process id.
	lockFile = "lock"
	// announceFile says where the owner listens. It is valid only while the lock is held: a
	// killed owner leaves it behind.
	announceFile = "server.json"
)

// An InUseError is returned by Start if a server has the directory open already, in another
// process or in this one.
type InUseError struct {
	Dir string
	URL string // address of that server; empty if it has no port
	PID int    // id of its process; 0 if unknown
	// Sync says how that server syncs; zero if unknown.
	Sync jsstore.Sync
}

func (e *InUseError) Error() string {
	by := "another process"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	if e.PID == os.Getpid() {
		by += " (the id of this process too)"
	}
	if e.URL != "" {
		return fmt.Sprintf("%s is in use by %s: connect to it at %s, or stop it", e.Dir, by, e.URL)
	}
	return fmt.Sprintf("%s is in use by %s, which has no port: stop it, or start it with a port and connect", e.Dir, by)
}

// An announcement is the content of server.json.
type announcement struct {
	URL       string    `json:"url"`
	PID       int       `json:"pid"`
	StartedAt time.Time `json:"startedAt"`
	// SyncAlways and SyncMS say how the server syncs.
	SyncAlways bool  `json:"syncAlways,omitempty"`
	SyncMS     int64 `json:"syncMs,omitempty"`
}

// An owner is a process's exclusive right to use a directory.
type owner struct {
	dir  string
	lock *flock.Flock
}

// own creates the directory if it does not exist, and locks it. It returns an *InUseError if
// the directory has an owner already.
func own(dir string) (*owner, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	o := &owner{dir: dir, lock: flock.New(filepath.Join(dir, lockFile))}
	locked, err := o.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, inUse(dir)
	}
	// The file of a killed owner would send others to a dead port.
	if err := o.retract(); err != nil {
		return nil, errors.Join(err, o.lock.Unlock())
	}
	// On a full disk this is the first write that fails. Windows does not allow writing to a
	// locked file: there, others learn that there is an owner, but not which process it is.
	err = os.WriteFile(o.lock.Path(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600)
	if err != nil && runtime.GOOS != "windows" {
		return nil, errors.Join(err, o.lock.Unlock())
	}
	return o, nil
}

// inUse returns what is known about the owner of dir.
func inUse(dir string) *InUseError {
	e := &InUseError{Dir: dir}
	if b, err := os.ReadFile(filepath.Join(dir, lockFile)); err == nil {
		e.PID, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
	var a announcement
	b, err := os.ReadFile(filepath.Join(dir, announceFile))
	if err != nil || json.Unmarshal(b, &a) != nil {
		return e
	}
	// If the ids differ, the announcement is left over from an earlier owner that was killed.
	if e.PID == 0 || e.PID == a.PID {
		e.URL, e.PID = a.URL, a.PID
		if a.SyncAlways || a.SyncMS > 0 {
			e.Sync = jsstore.Sync{Always: a.SyncAlways, Interval: time.Duration(a.SyncMS) * time.Millisecond, StoreDir: storeDir(dir)}
		}
	}
	return e
}

// announce writes where this process listens. Readers see all of the file or nothing.
func (o *owner) announce(url string, sync jsstore.Sync) error {
	b, err := json.Marshal(announcement{url, os.Getpid(), time.Now().UTC(), sync.Always, sync.Interval.Milliseconds()})
	if err != nil {
		return err
	}
	path := filepath.Join(o.dir, announceFile)
	if err := os.WriteFile(path+".tmp", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func (o *owner) retract() error {
	err := os.Remove(filepath.Join(o.dir, announceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// release gives the directory up. It keeps the lock file: the next owner may just have locked
// it.
func (o *owner) release() error {
	return errors.Join(o.retract(), o.lock.Unlock())
}
