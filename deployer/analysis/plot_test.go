package analysis

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"strings"
	"testing"
)

// plot is a chart, drawn as SVG.
type plot struct {
	title, x, y string
	xs, ys      axis
	lines       []line
	bars        []bar
	rule        float64 // a dashed line at this y (or, with bars, this x); 0 for none
	ruleName    string
}

// axis is a range of values; log for a logarithmic scale.
type axis struct {
	from, to float64
	log      bool
	ticks    []float64
	format   func(float64) string
}

// line is a series of points. Points at infinity break it.
type line struct {
	name  string
	color string
	faint bool
	at    [][2]float64
}

// bar is a horizontal bar.
type bar struct {
	name  string
	color string
	value float64
	label string
}

const (
	plotWidth, plotHeight              = 820, 420
	plotLeft, plotRight, plotTop, foot = 70, 210, 40, 50
)

var colors = []string{"#0b6e4f", "#555555", "#c1440e", "#e08e45", "#3a5a98", "#8fa6cb", "#7b2d8b"}

func (a axis) place(v, from, to float64) float64 {
	if a.log {
		return from + (to-from)*(math.Log(v)-math.Log(a.from))/(math.Log(a.to)-math.Log(a.from))
	}
	return from + (to-from)*(v-a.from)/(a.to-a.from)
}

func (p plot) px(v float64) float64 { return p.xs.place(v, plotLeft, plotWidth-plotRight) }
func (p plot) py(v float64) float64 { return p.ys.place(v, plotHeight-foot, plotTop) }

// svg draws the chart.
func (p plot) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" %s>`+"\n",
		plotWidth, plotHeight, `font-family="sans-serif" font-size="12"`)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", plotWidth, plotHeight)
	text(&b, plotLeft, 22, "start", "bold", p.title)
	p.axes(&b)
	if len(p.bars) > 0 {
		p.drawBars(&b)
	} else {
		p.drawLines(&b)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func text(b *strings.Builder, x, y float64, anchor, weight, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-weight="%s" fill="#222">%s</text>`+"\n",
		x, y, anchor, weight, html.EscapeString(s))
}

func segment(b *strings.Builder, x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

const (
	grid   = `stroke="#ddd"`
	dashed = `stroke="#b00" stroke-dasharray="6 4"`
)

func (p plot) axes(b *strings.Builder) {
	bottom, right := float64(plotHeight-foot), float64(plotWidth-plotRight)
	for _, v := range p.xs.ticks {
		segment(b, p.px(v), plotTop, p.px(v), bottom, grid)
		text(b, p.px(v), bottom+17, "middle", "normal", p.xs.format(v))
	}
	for _, v := range p.ys.ticks {
		segment(b, plotLeft, p.py(v), right, p.py(v), grid)
		text(b, plotLeft-8, p.py(v)+4, "end", "normal", p.ys.format(v))
	}
	text(b, (plotLeft+right)/2, bottom+38, "middle", "normal", p.x)
	fmt.Fprintf(b, `<g transform="translate(16 %.1f) rotate(-90)">`, (plotTop+bottom)/2)
	text(b, 0, 0, "middle", "normal", p.y)
	b.WriteString("</g>\n")
}

func (p plot) drawLines(b *strings.Builder) {
	right, legend := float64(plotWidth-plotRight), float64(plotTop)
	if p.rule > 0 {
		segment(b, plotLeft, p.py(p.rule), right, p.py(p.rule), dashed)
		text(b, right+8, p.py(p.rule)+4, "start", "normal", p.ruleName)
	}
	for _, l := range p.lines {
		style := fmt.Sprintf(`fill="none" stroke="%s" stroke-width="2"`, l.color)
		if l.faint {
			style = fmt.Sprintf(`fill="none" stroke="%s" stroke-width="1" opacity="0.35"`, l.color)
		}
		fmt.Fprintf(b, `<path d="%s" %s/>`+"\n", p.path(l), style)
		if l.name != "" {
			legend += 20
			segment(b, right+8, legend-4, right+30, legend-4, style)
			text(b, right+36, legend, "start", "normal", l.name)
		}
	}
}

func (p plot) path(l line) string {
	var d []string
	command := "M"
	for _, at := range l.at {
		if math.IsInf(at[1], 0) {
			command = "M"
			continue
		}
		d = append(d, fmt.Sprintf("%s%.1f %.1f", command, p.px(at[0]), p.py(min(max(at[1], p.ys.from), p.ys.to))))
		command = "L"
	}
	return strings.Join(d, " ")
}

// drawBars draws bars from the left, with their names inside the space of the legend.
func (p plot) drawBars(b *strings.Builder) {
	room := float64(plotHeight-foot-plotTop) / float64(len(p.bars))
	for i, bar := range p.bars {
		y := plotTop + room*float64(i)
		fmt.Fprintf(b, `<rect x="%d" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
			plotLeft, y+room*0.2, max(p.px(bar.value)-plotLeft, 1), room*0.6, bar.color)
		text(b, p.px(bar.value)+6, y+room*0.5+4, "start", "normal", bar.label)
		text(b, plotWidth-plotRight+14, y+room*0.5+4, "start", "normal", bar.name)
	}
	if p.rule > 0 {
		segment(b, p.px(p.rule), plotTop, p.px(p.rule), plotHeight-foot, dashed)
		text(b, p.px(p.rule), plotTop-4, "middle", "normal", p.ruleName)
	}
}

func TestPlotIsWellFormed(t *testing.T) {
	scale := axis{from: 1, to: 100, log: true, ticks: []float64{1, 10}, format: plain}
	p := plot{
		title: "a < b & c", xs: scale, ys: scale, rule: 10, ruleName: "here",
		lines: []line{{name: "one", color: colors[0], at: [][2]float64{{1, 2}, {2, math.Inf(1)}, {50, 1000}}}},
	}
	bars := p
	bars.bars = []bar{{name: "x", color: colors[1], value: 10, label: "10"}}
	for _, svg := range []string{p.svg(), bars.svg()} {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, svg)
			}
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("no number:\n%s", svg)
		}
	}
}
