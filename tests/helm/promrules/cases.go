package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"go.yaml.in/yaml/v3"
)

// step is how often rules are evaluated and series have a value.
const step = time.Minute

// A case: series in promtool's notation, and the alerts that fire at a time.
type testCase struct {
	Name   string            `yaml:"name"`
	Series map[string]string `yaml:"series"`
	At     string            `yaml:"at"`
	// The names of alerts, each as often as it fires.
	Firing []string `yaml:"firing"`
}

func test(casesFile string, ruleFiles []string) error {
	groups, err := load(ruleFiles)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(casesFile)
	if err != nil {
		return err
	}
	var cases []testCase
	if err := yaml.Unmarshal(text, &cases); err != nil {
		return err
	}
	tested, wrong := map[string]bool{}, 0
	for _, one := range cases {
		firing, err := run(one, groups)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		sort.Strings(one.Firing)
		if strings.Join(firing, " ") != strings.Join(one.Firing, " ") {
			fmt.Printf("%s: %v fire, not %v\n", one.Name, firing, one.Firing)
			wrong++
		}
		for _, name := range one.Firing {
			tested[name] = true
		}
	}
	alerts := 0
	for _, group := range groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" {
				continue
			}
			alerts++
			if !tested[rule.Alert] {
				fmt.Printf("%s fires in no case\n", rule.Alert)
				wrong++
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d findings in %d cases", wrong, len(cases))
	}
	fmt.Printf("%d cases, %d alerts\n", len(cases), alerts)
	return nil
}

// run evaluates all rules every minute up to the case's time, and tells which alerts fire then.
func run(one testCase, groups []rulefmt.RuleGroup) ([]string, error) {
	end, err := time.ParseDuration(one.At)
	if err != nil {
		return nil, err
	}
	memory, engine := newMemory(), newEngine()
	start := time.Unix(0, 0)
	for text, values := range one.Series {
		of, points, err := newParser().ParseSeriesDesc(text + " " + values)
		if err != nil {
			return nil, err
		}
		for index, value := range points {
			if !value.Omitted {
				memory.add(of, start.Add(time.Duration(index)*step).UnixMilli(), value.Value)
			}
		}
	}
	since := map[string]time.Time{}
	var firing []string
	for now := start; !now.After(start.Add(end)); now = now.Add(step) {
		firing = nil
		pending := map[string]time.Time{}
		for _, group := range groups {
			for _, rule := range group.Rules {
				found, err := ask(engine, memory, rule.Expr, now)
				if err != nil {
					return nil, err
				}
				for _, sample := range found {
					if rule.Record != "" {
						of := labels.NewBuilder(sample.Metric).Set("__name__", rule.Record)
						memory.add(of.Labels(), now.UnixMilli(), sample.F)
						continue
					}
					key := rule.Alert + sample.Metric.String()
					pending[key] = now
					if before, known := since[key]; known {
						pending[key] = before
					}
					if now.Sub(pending[key]) >= time.Duration(rule.For) {
						firing = append(firing, rule.Alert)
					}
				}
			}
		}
		since = pending
	}
	sort.Strings(firing)
	return firing, nil
}

func ask(engine *promql.Engine, memory *memory, expression string, now time.Time) (promql.Vector, error) {
	query, err := engine.NewInstantQuery(context.Background(), memory, nil, expression, now)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	found, err := query.Exec(context.Background()).Vector()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expression, err)
	}
	return append(promql.Vector{}, found...), nil
}
