package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// A format is how the output is printed: for people, unless a flag says otherwise.
type format struct {
	json  bool // for programs
	jsonl bool // of this kind, an object a line where a list is printed
}

func (f *format) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON, for programs: one document")
	cmd.PersistentFlags().BoolVar(&f.jsonl, "jsonl", false, "print JSON, for programs: of a list an object a line")
}

// decide completes the format.
func (f *format) decide() error {
	if f.json && f.jsonl {
		return usage("", "--json and --jsonl are two formats: give one")
	}
	f.json = f.json || f.jsonl
	return nil
}

// printAll prints a list for programs: with --jsonl each of it on a line, otherwise the
// document that holds it.
func printAll[T any](a *app, list []T, document any) error {
	if !a.jsonl {
		return printJSON(a.out, document)
	}
	for _, v := range list {
		if err := printJSON(a.out, v); err != nil {
			return err
		}
	}
	return nil
}

// printJSON prints v on a line.
func printJSON(w io.Writer, v any) error {
	if s, ok := w.(screen); ok {
		w = s.unwrapped() // a text in it may have spaces
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
