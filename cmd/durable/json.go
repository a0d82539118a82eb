package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// A format says how to print the output: for people, unless a flag asks for JSON.
type format struct {
	json  bool // print JSON; --jsonl sets it too
	jsonl bool // print a list as one object per line
}

func (f *format) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().BoolVar(&f.json, "json", false, "print one JSON document, for programs")
	cmd.PersistentFlags().BoolVar(&f.jsonl, "jsonl", false, "print JSON for programs: for a list, one object per line")
}

// decide sets json if only --jsonl was given, and refuses both flags together.
func (f *format) decide() error {
	if f.json && f.jsonl {
		return usage("", "--json and --jsonl select different formats: give one")
	}
	f.json = f.json || f.jsonl
	return nil
}

// printAll prints a list for programs: with --jsonl one element per line, otherwise the
// document that holds the list.
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
		w = s.unwrapped() // wrapping could break a line inside a string
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
