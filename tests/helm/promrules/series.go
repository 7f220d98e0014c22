package main

import (
	"context"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// memory is a storage of floats, each series sorted by time.
type memory struct {
	series map[string]*floats
}

type floats struct {
	labels labels.Labels
	points []chunks.Sample
}

func newMemory() *memory { return &memory{series: map[string]*floats{}} }

func (m *memory) add(of labels.Labels, time int64, value float64) {
	name := of.String()
	if m.series[name] == nil {
		m.series[name] = &floats{labels: of}
	}
	one := m.series[name]
	one.points = append(one.points, point{time, value})
}

func (m *memory) Querier(from, to int64) (storage.Querier, error) { return querier{m}, nil }

type querier struct{ memory *memory }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, one := range q.memory.series {
		matches := true
		for _, matcher := range matchers {
			matches = matches && matcher.Matches(one.labels.Get(matcher.Name))
		}
		if matches {
			found = append(found, storage.NewListSeries(one.labels, one.points))
		}
	}
	return &set{series: found, at: -1}
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) Close() error { return nil }

type set struct {
	series []storage.Series
	at     int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *set) At() storage.Series                { return s.series[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

// point is a value at a time in milliseconds.
type point struct {
	time  int64
	value float64
}

func (p point) ST() int64                     { return 0 }
func (p point) T() int64                      { return p.time }
func (p point) F() float64                    { return p.value }
func (p point) H() *histogram.Histogram       { return nil }
func (p point) FH() *histogram.FloatHistogram { return nil }
func (p point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample           { return p }

var _ storage.Queryable = (*memory)(nil)

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1 << 24, Timeout: 60e9, EnableAtModifier: true, EnableNegativeOffset: true, Parser: newParser(),
	})
}
