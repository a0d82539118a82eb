package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// near returns the words that the user may have meant: the words that begin with typed, and the
// words that differ from it by the fewest corrections, if these are few.
func near(typed string, words []string) []string {
	const most = 3
	typed = strings.ToLower(typed)
	var nearest []string
	fewest := most + 1
	for _, word := range words {
		lower := strings.ToLower(word)
		n := corrections(typed, lower)
		if len(typed) >= 3 && strings.HasPrefix(lower, typed) {
			n = min(n, 1)
		}
		// Allow fewer corrections in a short word: they soon make another word of it.
		if n > min((max(len(typed), len(word))+1)/3, most) || n > fewest {
			continue
		}
		if n < fewest {
			nearest, fewest = nil, n
		}
		nearest = append(nearest, word)
	}
	slices.Sort(nearest)
	nearest = slices.Compact(nearest)
	return nearest[:min(len(nearest), most)]
}

// corrections returns how many letters to add, remove or replace, and how many neighbouring
// letters to swap, to change one word into another.
func corrections(from, to string) int {
	a, b := []rune(from), []rune(to)
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for k := range row {
		above[k] = k
	}
	for i := range a {
		row[0] = i + 1
		for k := range b {
			replaced := above[k]
			if a[i] != b[k] {
				replaced++
			}
			row[k+1] = min(replaced, above[k+1]+1, row[k]+1)
			if i > 0 && k > 0 && a[i] == b[k-1] && a[i-1] == b[k] {
				row[k+1] = min(row[k+1], before[k-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

// meant returns a hint: the words that the user may have meant, each with a prefix. If there
// are none, it returns otherwise.
func meant(typed, prefix string, words []string, otherwise string) string {
	found := near(typed, words)
	if len(found) == 0 {
		return otherwise
	}
	return "did you mean " + prefix + strings.Join(found, ", or "+prefix) + "?"
}

// unknown returns an error: a flag or an argument does not accept the word that the user typed.
func unknown(what, typed string, words []string) error {
	return usage(meant(typed, "", words, "one of "+strings.Join(words, ", ")), "unknown %s %q", what, typed)
}

// unknownCommand returns an error: cmd has no such subcommand.
func unknownCommand(cmd *cobra.Command, asked string) error {
	typed := asked
	var names, others []string
	from := map[string]string{} // the command's name, by its name in other programs
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		names = append(names, c.Name())
		for _, other := range c.SuggestFor {
			others, from[other] = append(others, other), c.Name()
		}
	}
	if name := from[strings.ToLower(typed)]; name != "" {
		typed = name
	} else if like := near(typed, others); len(near(typed, names)) == 0 && len(like) > 0 {
		typed = from[like[0]]
		names = []string{typed}
	}
	return usage(meant(typed, cmd.CommandPath()+" ", names, cmd.CommandPath()+" --help lists the commands"), "unknown command %q", asked)
}

// flagError returns an error for an invalid flag in plain words, with the flags that the user
// may have meant.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help lists the flags"
	var missing *pflag.NotExistError
	var bad *pflag.InvalidValueError
	switch {
	case errors.As(err, &missing):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		})
		typed := missing.GetSpecifiedName()
		if short := missing.GetSpecifiedShortnames(); len(short) > 1 {
			typed = short // -status
		}
		return usage(meant(typed, "--", names, help), "%w", err)
	case errors.As(err, new(*twiceError)) && errors.As(err, &bad):
		return usage("give the flag once", "--%s: %w", bad.GetFlag().Name, errors.Unwrap(bad))
	case errors.As(err, &bad):
		want := errors.Unwrap(bad)
		kind := bad.GetFlag().Value.Type()
		if is := wants[kind]; is != "" {
			want = errors.New("want " + is)
		}
		return usage(help, "--%s %q: %w", bad.GetFlag().Name, bad.GetValue(), want)
	}
	return usage(help, "%w", err)
}

// wants describes the values of flag types whose own errors only programmers understand.
var wants = map[string]string{
	"bool": "true or false", "int": "a whole number", "int64": "a whole number", "float64": "a number",
}

// A once is a flag that refuses a second value. Without it, the last value would silently win.
type once struct {
	pflag.Value
	given bool
	text  string
}

// A twiceError does not contain the values: one may be a password.
type twiceError struct{}

func (*twiceError) Error() string { return "given twice with different values" }

func (o *once) Set(text string) error {
	if o.given && o.text != text {
		return &twiceError{}
	}
	o.given, o.text = true, text
	return o.Value.Set(text)
}

// strict makes a command and its subcommands refuse a flag that is given twice with different
// values. It also turns cobra's errors about arguments into usage errors like the others.
func strict(cmd *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			_, several := f.Value.(pflag.SliceValue)
			if _, is := f.Value.(*once); !several && !is {
				f.Value = &once{Value: f.Value}
			}
		})
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil || errors.As(err, new(*exitError)) {
				return err
			}
			if len(args) > 0 && cmd.HasSubCommands() {
				return unknownCommand(cmd, args[0])
			}
			return usage(cmd.CommandPath()+" --help explains it", "%w", err)
		}
	}
	if cmd.HasSubCommands() && !cmd.Runnable() { // cobra would show the help even for an unknown subcommand
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		}
		cmd.Args = cobra.ArbitraryArgs
	}
	for _, c := range cmd.Commands() {
		strict(c)
	}
}
