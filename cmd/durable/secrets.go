package main

import (
	"regexp"
	"strings"
)

// Secrets are masked in every error and hint, whoever has quoted them: a seed or a token
// that stands where the name of a file is expected, a password in a URL.
var (
	secrets = regexp.MustCompile(`\bS[ACNOUX][A-Z2-7]{40,}` + // the seed of an nkey
		`|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?`) // a JWT
	// logins are passwords in URLs, and tokens, which stand where a user would.
	logins = regexp.MustCompile(`(://(?:[^\s"'@/:]+:)?)[^\s"'@/]+@`)
)

// masked is a text without secrets.
func masked(text string) string {
	text = logins.ReplaceAllString(secrets.ReplaceAllString(text, "xxxxx"), "${1}xxxxx@")
	return strings.ReplaceAll(text, "://USER:xxxxx@HOST", "://USER:PASSWORD@HOST") // what hints say of the form
}
