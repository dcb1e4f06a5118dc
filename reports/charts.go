package reports

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// Charts are SVG without text: a drawing is stretched to whatever width there is, and its labels are HTML beside it, which
// keep their size on a phone.

// bar is one row of a bar chart.
type bar struct {
	Label    string
	Foreign  bool // the label comes from a foreign system
	Count    Count
	Standing int
	Drawing  template.HTML
	Costs    []Money
}

// barChart is the start of a ranking, and what is left of it.
type barChart struct {
	Bars      []bar
	Others    int // groups without a bar
	OthersSum int // what stands in them
}

const barRows = 12

// bars draws the groups with the most that stands, split by severity. The widest bar fills the width.
func bars(groups map[string]*Group, label func(key string) (text string, foreign bool)) barChart {
	var out barChart
	most := 0
	for _, g := range ranked(groups) {
		standing := g.Count.Standing()
		if standing == 0 {
			break
		}
		most = max(most, standing)
		if len(out.Bars) == barRows {
			out.Others++
			out.OthersSum += standing
			continue
		}
		b := bar{Count: g.Count, Standing: standing, Drawing: drawBar(g.BySeverity, most), Costs: g.Cost()}
		b.Label, b.Foreign = label(g.Key)
		out.Bars = append(out.Bars, b)
	}
	return out
}

func drawBar(parts [finding.Critical + 1]int, most int) template.HTML {
	var s strings.Builder
	s.WriteString(`<svg class="bar" aria-hidden="true" focusable="false">`)
	at := 0
	for level := finding.Critical; level >= finding.Info; level-- {
		if n := parts[level]; n > 0 {
			fmt.Fprintf(&s, `<rect class="s-%s" x="%s%%" width="%s%%" height="100%%"/>`, level, share(at, most), share(n, most))
			at += n
		}
	}
	s.WriteString("</svg>")
	return template.HTML(s.String())
}

func share(n, of int) string { return fmt.Sprintf("%.2f", 100*float64(n)/float64(of)) }

// severityMark is a swatch with its name: colour alone says nothing.
func severityMark(level finding.Severity) template.HTML {
	return template.HTML(fmt.Sprintf(`<span class="severity"><svg class="swatch" aria-hidden="true" focusable="false"><rect class="s-%s" width="100%%" height="100%%"/></svg>%s</span>`, level, level))
}

// trendChart is what stood night by night, and below it what came and went.
type trendChart struct {
	Nights      []Night
	Most        uint64 // the upper end of the scale
	MostMoves   uint64
	First, Last time.Time
	Stock, Flow template.HTML
	Incomplete  int
	HasBacklog  bool
}

const (
	chartWidth  = 600.0
	stockHeight = 160.0
	flowHeight  = 60.0
)

// trend draws the nights; nil if there are fewer than two.
func (r *Report) trend() *trendChart {
	if len(r.Nights) < 2 {
		return nil
	}
	c := &trendChart{Nights: r.Nights, First: r.Nights[0].Time, Last: r.Nights[len(r.Nights)-1].Time, Most: 1, MostMoves: 1}
	span := c.Last.Sub(c.First).Hours()
	if span <= 0 {
		return nil
	}
	for _, n := range r.Nights {
		c.Most = max(c.Most, n.Open+n.Backlog)
		c.MostMoves = max(c.MostMoves, n.New, n.Closed)
		c.HasBacklog = c.HasBacklog || n.Backlog > 0
		if !n.Complete {
			c.Incomplete++
		}
	}
	x := func(t time.Time) float64 { return t.Sub(c.First).Hours() / span * chartWidth }
	y := func(n uint64) float64 { return stockHeight * (1 - float64(n)/float64(c.Most)) }

	var open, backlog, edge, marks strings.Builder
	for _, n := range r.Nights {
		fmt.Fprintf(&open, " %.1f,%.1f", x(n.Time), y(n.Open+n.Backlog))
		fmt.Fprintf(&backlog, " %.1f,%.1f", x(n.Time), y(n.Backlog))
		if !n.Complete {
			fmt.Fprintf(&marks, `<line class="incomplete" x1="%[1]f" x2="%[1]f" y1="0" y2="%[2]f"/>`, x(n.Time), stockHeight)
		}
	}
	edge.WriteString(open.String())
	floor := fmt.Sprintf(" %.1f,%.1f 0,%.1f", chartWidth, stockHeight, stockHeight)
	c.Stock = template.HTML(fmt.Sprintf(`<svg class="stock" viewBox="0 0 %.0f %.0f" preserveAspectRatio="none" role="img" aria-labelledby="trend-title trend-desc"><title id="trend-title">Findings that stood after each night</title><desc id="trend-desc">From %s to %s: %s at first, %s at last, %s at most. The table below has every night.</desc>`,
		chartWidth, stockHeight, r.day(c.First), r.day(c.Last), standingWords(r.Nights[0]), standingWords(r.Nights[len(r.Nights)-1]), thousands(c.Most))) +
		template.HTML(`<polygon class="open" points="`+open.String()+floor+`"/><polygon class="backlog" points="`+backlog.String()+floor+`"/>`+
			marks.String()+`<polyline class="edge" points="`+edge.String()+`"/></svg>`)

	var flow strings.Builder
	fmt.Fprintf(&flow, `<svg class="flow" viewBox="0 0 %.0f %.0f" preserveAspectRatio="none" aria-hidden="true" focusable="false">`, chartWidth, flowHeight)
	wide := chartWidth / float64(len(r.Nights)) * 0.6
	half := flowHeight / 2
	for _, n := range r.Nights {
		left := min(max(x(n.Time)-wide/2, 0), chartWidth-wide)
		if n.New > 0 {
			high := half * float64(n.New) / float64(c.MostMoves)
			fmt.Fprintf(&flow, `<rect class="new" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, left, half-high, wide, high)
		}
		if n.Closed > 0 {
			fmt.Fprintf(&flow, `<rect class="closed" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, left, half, wide, half*float64(n.Closed)/float64(c.MostMoves))
		}
	}
	fmt.Fprintf(&flow, `<line class="zero" x1="0" x2="%.0f" y1="%.1f" y2="%.1f"/></svg>`, chartWidth, half, half)
	c.Flow = template.HTML(flow.String())
	return c
}

func standingWords(n Night) string {
	if n.Backlog == 0 {
		return thousands(n.Open) + " open"
	}
	return thousands(n.Open) + " open and " + thousands(n.Backlog) + " of backlog"
}
