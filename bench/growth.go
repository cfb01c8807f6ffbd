package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"github.com/weirhq/weir/service/model"
)

// growth is how the time of a row grows with one thing.
type growth struct {
	what   string
	points []point
}

// point is the time for one value of it, in microseconds a row: for a single row, and in a batch on one core and on
// all.
type point struct {
	value           int
	one, batch, all float64
}

// measureGrowth measures Weir on forests whose trees are full, and on batches of several lengths.
func measureGrowth(ctx context.Context, p *plan, r *results) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, series := range []struct {
		what, files string
		values      []int
	}{
		{"trees (of depth 8, 20 columns)", "trees", []int{10, 30, 100, 300, 1000}},
		{"depth (100 trees, 20 columns)", "depth", []int{2, 4, 8, 12, 16}},
		{"columns (100 trees of depth 8)", "columns", []int{5, 20, 100, 1000}},
	} {
		g := growth{what: series.what}
		for _, value := range series.values {
			if err := ctx.Err(); err != nil {
				return err
			}
			pt, err := p.point(fmt.Sprintf("%s-%d.pkl", series.files, value))
			if err != nil {
				return err
			}
			pt.value = value
			g.points = append(g.points, pt)
		}
		r.growth = append(r.growth, g)
	}
	return p.growthOfRows(r)
}

func (p *plan) point(file string) (pt point, err error) {
	m, _, err := model.LoadFile(p.models(file), "")
	if err != nil {
		return pt, err
	}
	x := randomRows(m.In)
	for _, c := range []struct {
		rows, threads int
		to            *float64
	}{{1, 1, &pt.one}, {batch, 1, &pt.batch}, {batch, runtime.NumCPU(), &pt.all}} {
		if *c.to, err = p.micros(m, x, c.rows, c.threads); err != nil {
			return pt, err
		}
	}
	return pt, nil
}

// micros is the time of a row in microseconds: the median over the rounds.
func (p *plan) micros(m *model.Model, x []float64, rows, threads int) (float64, error) {
	runtime.GOMAXPROCS(threads)
	var v []float64
	for range p.rounds {
		seconds, err := measure(m, x, rows, p.calls.Seconds()/4)
		if err != nil {
			return 0, err
		}
		v = append(v, seconds*1e6/float64(rows))
	}
	return median(v), nil
}

func (p *plan) growthOfRows(r *results) error {
	m, _, err := model.LoadFile(p.models("forest.pkl"), "")
	if err != nil {
		return err
	}
	x, err := readRows(p.models("rows.f64"))
	if err != nil {
		return err
	}
	for _, rows := range []int{1, 10, 100, 1000, batch} {
		pt := point{value: rows}
		if pt.batch, err = p.micros(m, x, rows, 1); err != nil {
			return err
		}
		if pt.all, err = p.micros(m, x, rows, runtime.NumCPU()); err != nil {
			return err
		}
		r.rows = append(r.rows, pt)
	}
	return nil
}

func randomRows(width int) []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, batch*width)
	for i := range x {
		x[i] = float64(r.Float32())
	}
	return x
}
