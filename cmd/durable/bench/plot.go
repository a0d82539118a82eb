package bench

import (
	"fmt"
	"math"
	"strings"

	"github.com/go-analyze/charts"
)

// The package go-analyze/charts draws the plots as SVG: it is plain Go, maintained, and has few
// dependencies. A library that draws in the browser would add a megabyte to every report.

const plotWidth, plotHeight = 560, 300

func painter() *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputSVG, Width: plotWidth, Height: plotHeight,
	}, charts.PainterPaddingOption(charts.NewBoxEqual(10)))
}

// bars draws a metric, round by round, and its floor beside it.
func bars(m Metric) (string, error) {
	data, names := [][]float64{m.Rounds}, []string{"durable"}
	if m.Floor != nil && len(m.Floor.Rounds) == len(m.Rounds) {
		data, names = append(data, m.Floor.Rounds), append(names, "floor")
	}
	labels := make([]string, len(m.Rounds))
	for i := range labels {
		labels[i] = fmt.Sprintf("round %d", i+1)
	}
	opt := charts.NewBarChartOptionWithData(data)
	opt.Title.Text = fmt.Sprintf("%s, %s", m.Label, m.Unit)
	opt.CategoryAxis.Labels = labels
	opt.Legend.SeriesNames = names
	opt.Legend.Offset = charts.OffsetRight
	opt.ValueFormatter = Figure
	for i := range opt.ValueAxis {
		opt.ValueAxis[i].Min = charts.Ptr(0.0)
	}
	p := painter()
	if err := p.BarChart(opt); err != nil {
		return "", fmt.Errorf("plot %s: %w", m.Name, err)
	}
	return svg(p)
}

// curve draws a distribution: the duration by percentile, on a logarithmic scale.
func curve(d Distribution) (string, error) {
	data, names := [][]float64{logs(d.Points)}, []string{"durable"}
	if len(d.Floor) > 0 {
		data, names = append(data, logs(d.Floor)), append(names, "floor")
	}
	labels := make([]string, len(d.Points))
	for i, p := range d.Points {
		labels[i] = fmt.Sprintf("%g", p.Percentile)
	}
	opt := charts.NewLineChartOptionWithData(data)
	opt.Title.Text = fmt.Sprintf("%s, ms, by percentile", d.Label)
	opt.XAxis.Labels = labels
	opt.Legend.SeriesNames = names
	opt.Legend.Offset = charts.OffsetRight
	opt.ValueFormatter = func(v float64) string { return Figure(math.Pow(10, v)) }
	p := painter()
	if err := p.LineChart(opt); err != nil {
		return "", fmt.Errorf("plot %s: %w", d.Name, err)
	}
	return svg(p)
}

func logs(points []Point) []float64 {
	list := make([]float64, len(points))
	for i, p := range points {
		list[i] = math.Log10(max(p.Value, 0.001)) // the histogram's resolution is 1 µs
	}
	return list
}

func svg(p *charts.Painter) (string, error) {
	b, err := p.Bytes()
	if err != nil {
		return "", err
	}
	// An SVG inside a page needs no XML declaration.
	text := string(b)
	if i := strings.Index(text, "<svg"); i > 0 {
		text = text[i:]
	}
	return text, nil
}
