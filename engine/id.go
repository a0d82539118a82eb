package engine

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

const (
	maxTaskID      = 255 // SEMANTICS.md, Identity
	maxExecutionID = 128 // a subject token; the subject must fit a control line of 4,096 bytes
	maxQueue       = 64  // part of a consumer's name, which the server limits to 255
)

// base32hex preserves order: encoded texts sort as the bytes do.
var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// newID returns the id of a root: te_, 48 bits of milliseconds since the epoch, and
// 80 random bits. Ids sort by the time at which they were made.
func newID(now time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli())<<16|rand.Uint64()>>48)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	return "te_" + base32hex.EncodeToString(b[:])
}

// RootOf returns the id of the root of the tree that id belongs to.
func RootOf(id string) string {
	root, _, _ := strings.Cut(id, ".")
	return root
}

// maxPath limits the part of an id after its root. A longer path is replaced by its hash,
// so that the ids of a recursion have bounded length at any depth.
const maxPath = 40

// childID derives the id of a parent's child from its position.
func childID(parent string, index int) string { return descend(parent, strconv.Itoa(index)) }

// finalizeID derives the id of a parent's finalize execution.
func finalizeID(parent string) string { return descend(parent, "f") }

func descend(parent, step string) string {
	root, path, deep := strings.Cut(parent, ".")
	if !deep {
		return root + "." + step
	}
	if len(path)+1+len(step) > maxPath {
		// 15 bytes are 24 characters. The h keeps hashes apart from paths, which
		// begin with a digit or an f.
		sum := sha256.Sum256([]byte(path))
		path = "h" + base32hex.EncodeToString(sum[:15])
	}
	return root + "." + path + "-" + step
}

// ValidateID returns an error that says what is wrong with the id of an execution, or nil.
func ValidateID(id string) error {
	root, path, deep := strings.Cut(id, ".")
	if err := validateName("execution id", root, maxExecutionID); err != nil {
		return err
	}
	if deep {
		return validateName("execution id, below the root,", path, maxPath+8)
	}
	return nil
}

// ValidateTask returns an error that says what is wrong with a task id, or nil.
func ValidateTask(id string) error { return validateName("task id", id, maxTaskID) }

// ValidateQueue returns an error that says what is wrong with the name of a queue, or nil.
func ValidateQueue(name string) error { return validateName("queue", name, maxQueue) }

func validateName(what, name string, most int) error {
	if name == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if len(name) > most {
		return fmt.Errorf("%s %.32q...: %d characters, at most %d", what, name, len(name), most)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return fmt.Errorf("%s %q: %q is not one of A-Z a-z 0-9 _ -", what, name, r)
		}
	}
	return nil
}
