package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // time zones for machines that have none installed, such as containers

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A times says how to show times to people.
type times struct {
	style string
}

// The styles of times.
const (
	relativeTimes = "relative" // how long ago, in columns of tables
	localTimes    = "local"    // in full, in the user's time zone
	utcTimes      = "utc"      // in full, in UTC, as in RFC 3339
)

var timeStyles = []string{relativeTimes, localTimes, utcTimes}

func (t *times) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&t.style, "time-format", relativeTimes, "how times are shown: relative, local or utc")
	must(cmd.RegisterFlagCompletionFunc("time-format", cobra.FixedCompletions(timeStyles, cobra.ShellCompDirectiveNoFileComp)))
}

func (t times) valid() error {
	switch t.style {
	case relativeTimes, localTimes, utcTimes:
		return nil
	}
	return unknown("--time-format", t.style, timeStyles)
}

// moment formats a time for the column of a table.
func (t times) moment(at, now time.Time) string {
	if t.style == localTimes || t.style == utcTimes {
		return t.stamp(at)
	}
	return ago(at, now)
}

// stamp formats a time in full, to the millisecond.
func (t times) stamp(at time.Time) string {
	if t.style == utcTimes {
		return at.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return at.Local().Format("2006-01-02 15:04:05.000")
}

// clock formats a time of day, to the second.
func (t times) clock(at time.Time) string {
	if t.style == utcTimes {
		return at.UTC().Format("15:04:05Z")
	}
	return at.Local().Format("15:04:05")
}

// A durationFlag is a duration. The user may give it in days and weeks too.
type durationFlag time.Duration

func (d *durationFlag) Type() string { return "duration" }

// String is empty for 0, so that the help shows no default.
func (d *durationFlag) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *durationFlag) Set(text string) error {
	parsed, err := parseDuration(text)
	*d = durationFlag(parsed)
	return err
}

// durationVar defines a flag for d. The value of d is the default.
func durationVar(f *pflag.FlagSet, d *time.Duration, name string, usage string) {
	f.Var((*durationFlag)(d), name, usage)
}

var (
	errDuration = errors.New("want a duration such as 90s, 1h30m or 2d")
	errTooLong  = errors.New("want a duration of at most 106751d, which is 292 years")
)

const day = 24 * time.Hour

// parseDuration parses weeks and days of 24 hours, followed by a duration as in
// time.ParseDuration.
func parseDuration(text string) (time.Duration, error) {
	sum, rest := time.Duration(0), text
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"w", 7 * day}, {"d", day}} {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		d, err := multiple(number, unit.length)
		if err == nil {
			sum, err = addDurations(sum, d)
		}
		if err != nil {
			return 0, err
		}
		rest = after
	}
	if rest == "" && rest != text {
		return sum, nil
	}
	d, err := time.ParseDuration(rest)
	switch {
	case err != nil && goDuration.MatchString(rest):
		return 0, errTooLong // the form is right, so the value must be too large
	case err != nil || rest != text && d < 0:
		return 0, errDuration
	}
	return addDurations(sum, d)
}

// goDuration matches the durations that time.ParseDuration accepts, and longer ones.
var goDuration = regexp.MustCompile(`^[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`)

// multiple returns number times unit. number is decimal, without a sign; unit is whole hours.
func multiple(number string, unit time.Duration) (time.Duration, error) {
	if strings.Trim(number, "0123456789.") != "" {
		return 0, errDuration
	}
	n, err := parseDuration(number + "h")
	if err != nil {
		return 0, err
	}
	times := unit / time.Hour
	if n > math.MaxInt64/times {
		return 0, errTooLong
	}
	return n * times, nil
}

// addDurations adds b to a, which is not negative.
func addDurations(a, b time.Duration) (time.Duration, error) {
	if b > math.MaxInt64-a {
		return 0, errTooLong
	}
	return a + b, nil
}

var errTime = errors.New("want a time such as 2026-12-01T09:00, 2026-12-01T09:00Z or 2026-12-01T09:00[Europe/Berlin]")

// parseTime parses a date, optionally with a time of day. The time zone is given by an offset,
// or by a name in brackets or after a space. The default is this machine's.
func parseTime(text string) (time.Time, error) {
	wall, zone := text, time.Local
	if name, named := strings.CutSuffix(text, "]"); named {
		wall, name, named = cutLast(name, "[")
		return parseIn(wall, name, named)
	}
	if before, name, found := cutLast(text, " "); found && strings.ContainsFunc(name, isLetter) && !strings.Contains(name, ":") {
		return parseIn(before, name, true)
	}
	return parseWall(wall, zone)
}

func parseIn(wall, name string, named bool) (time.Time, error) {
	if !named || name == "" || strings.EqualFold(name, "local") {
		return time.Time{}, errTime
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.Time{}, fmt.Errorf("unknown time zone %q", name)
	}
	return parseWall(wall, zone)
}

// parseWall parses a time with an offset, or a local time that occurs exactly once in the zone.
func parseWall(text string, zone *time.Location) (time.Time, error) {
	text = strings.Replace(text, " ", "T", 1)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if zone != time.Local && !sameClock(t, t.In(zone)) {
			return time.Time{}, fmt.Errorf("clocks in %s have another offset at that time: %s", zone, t.In(zone).Format(time.RFC3339))
		}
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return onClock(wall, zone)
		}
	}
	return time.Time{}, errTime
}

// onClock returns the time at which clocks in the zone show the time of day of wall. There is
// no such time if clocks are set forward over it, and there are two if they are set back.
func onClock(wall time.Time, zone *time.Location) (time.Time, error) {
	var found []time.Time
	for _, around := range []time.Duration{-24 * time.Hour, 24 * time.Hour} { // the offsets before and after a change of clocks
		_, offset := wall.Add(around).In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if sameClock(wall, t) && (len(found) == 0 || !found[0].Equal(t)) {
			found = append(found, t)
		}
	}
	switch shown := wall.Format("2006-01-02T15:04:05"); len(found) {
	case 0:
		return time.Time{}, fmt.Errorf("clocks in %s do not show %s: they are set forward", zone, shown)
	case 2:
		return time.Time{}, fmt.Errorf("clocks in %s show %s twice: say %s or %s", zone, shown, found[0].Format(time.RFC3339), found[1].Format(time.RFC3339))
	}
	return found[0], nil
}

func sameClock(a, b time.Time) bool {
	const layout = "2006-01-02T15:04:05.999999999"
	return a.Format(layout) == b.Format(layout)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }
