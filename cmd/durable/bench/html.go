package bench

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"figure": Figure,
	"plots":  plots,
}).Parse(page))

// HTML returns a page with the figures and plots of each report. The page loads nothing from
// elsewhere.
func HTML(reports []*Report) ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, reports); err != nil {
		return nil, fmt.Errorf("make page: %w", err)
	}
	return b.Bytes(), nil
}

// plotted are the metrics to plot.
var plotted = []string{"throughput", "cpu", "cpuClient", "cpuServer"}

// plots returns the plots of a report. The chart package escapes the labels.
func plots(r *Report) ([]template.HTML, error) {
	var list []template.HTML
	for _, name := range plotted {
		m, err := r.Find(name)
		if err != nil {
			continue
		}
		text, err := bars(m)
		if err != nil {
			return nil, err
		}
		list = append(list, template.HTML(text))
	}
	for _, d := range r.Distributions {
		text, err := curve(d)
		if err != nil {
			return nil, err
		}
		list = append(list, template.HTML(text))
	}
	return list, nil
}

// Figure formats a number with its three or four significant digits.
func Figure(v float64) string {
	digits := 4
	switch {
	case v >= 1000:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	case v >= 1 || v == 0:
		digits = 2
	case v >= 0.1:
		digits = 3
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
