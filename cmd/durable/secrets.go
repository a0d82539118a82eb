package main

import (
	"regexp"
	"strings"
)

// report masks secrets in every error and hint, because libraries quote them too: a seed or a
// token that the user typed in place of a file name, or a password in a URL.
var (
	secrets = regexp.MustCompile(`\bS[ACNOUX][A-Z2-7]{40,}` + // the seed of an nkey
		`|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?`) // a JWT
	// logins matches passwords in URLs, and tokens, which stand in place of the user.
	logins = regexp.MustCompile(`(://(?:[^\s"'@/:]+:)?)[^\s"'@/]+@`)
)

// masked returns a text with its secrets replaced.
func masked(text string) string {
	text = logins.ReplaceAllString(secrets.ReplaceAllString(text, "xxxxx"), "${1}xxxxx@")
	return strings.ReplaceAll(text, "://USER:xxxxx@HOST", "://USER:PASSWORD@HOST") // hints show the form of a URL
}
