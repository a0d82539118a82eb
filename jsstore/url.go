package jsstore

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// address matches a host, with or without a port.
var address = regexp.MustCompile(`^[A-Za-z0-9._:%\[\]-]+$`)

// unreadable replaces an address that may be part of a password.
const unreadable = "(an address that can't be read)"

// Redact returns the hosts and ports in a comma-separated list of server URLs, without users,
// passwords and tokens. If it is not sure what a piece is, it does not show the piece.
func Redact(urls string) string {
	var list []string
	pieces := strings.Split(urls, ",")
	for i, piece := range pieces {
		_, rest := cutScheme(piece)
		if !strings.Contains(rest, "@") && i+1 < len(pieces) && goesOn(pieces[i+1]) {
			continue // a user and the first half of a password that contains a comma
		}
		rest = rest[strings.LastIndex(rest, "@")+1:]
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			rest = rest[:end]
		}
		if !address.MatchString(rest) {
			rest = unreadable
		}
		list = append(list, rest)
	}
	return strings.Join(list, ", ")
}

// goesOn reports whether a piece between commas begins in the middle of a URL.
func goesOn(piece string) bool {
	scheme, rest := cutScheme(piece)
	return scheme == "" && strings.Contains(rest, "@")
}

func cutScheme(one string) (scheme, rest string) {
	one = strings.TrimSpace(one)
	if scheme, rest, ok := strings.Cut(one, "://"); ok {
		return scheme, rest
	}
	return "", one
}

// errMalformed quotes nothing: nobody can tell where a password begins.
var errMalformed = errors.New("malformed URL, which is not shown as it may hold a password: " +
	"want nats://USER:PASSWORD@HOST:PORT, with all but letters, digits and -._~ in user and password written as %XX")

// CheckURL returns an error if one of the URLs in a comma-separated list of servers is
// malformed: part of a password would then be taken for a host. The error does not quote the
// URL.
func CheckURL(urls string) error {
	pieces := strings.Split(urls, ",")
	for i, piece := range pieces {
		scheme, rest := cutScheme(piece)
		if scheme == "" {
			scheme = "nats" // like the client
		}
		if strings.HasPrefix(strings.TrimSpace(piece), "://") {
			return errMalformed
		}
		login := rest[:max(strings.LastIndex(rest, "@"), 0)]
		if strings.ContainsAny(login, "/?# ") {
			return errMalformed
		}
		if i > 0 && goesOn(piece) && !strings.Contains(pieces[i-1], "@") && strings.Contains(pieces[i-1], "://") {
			return errMalformed // a comma in a password
		}
		if _, err := url.Parse(scheme + "://" + rest); err != nil {
			return errMalformed
		}
	}
	return nil
}
