// Command promrules judges rules with Prometheus's own parser and engine: what `promtool check rules` and `promtool test rules`
// do, without the database and the service discoveries that promtool is built with, which take minutes to compile.
//
//	promrules check FILE...                   rule files
//	promrules expressions FILE                one expression a line, as those of a dashboard
//	promrules test CASES FILE...              rule files on made-up series
//
// It prints what it has found and exits with 1 if something is wrong.
package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if len(os.Args) < 3 {
		fail("what to do, and with which files?")
	}
	var err error
	switch files := os.Args[2:]; os.Args[1] {
	case "check":
		err = check(files)
	case "expressions":
		err = expressions(files[0])
	case "test":
		err = test(files[0], files[1:])
	default:
		err = fmt.Errorf("%s is nothing that can be done", os.Args[1])
	}
	if err != nil {
		fail(err.Error())
	}
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "promrules: "+text)
	os.Exit(1)
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// load reads rule files; everything that is wrong is one error.
func load(files []string) ([]rulefmt.RuleGroup, error) {
	var groups []rulefmt.RuleGroup
	for _, file := range files {
		read, problems := rulefmt.ParseFile(file, false, model.UTF8Validation, newParser(), slog.New(slog.DiscardHandler))
		if len(problems) > 0 {
			texts := make([]string, len(problems))
			for index, problem := range problems {
				texts[index] = problem.Error()
			}
			return nil, fmt.Errorf("%s: %s", file, strings.Join(texts, "\n  "))
		}
		groups = append(groups, read.Groups...)
	}
	return groups, nil
}

func check(files []string) error {
	groups, err := load(files)
	if err != nil {
		return err
	}
	rules := 0
	for _, group := range groups {
		rules += len(group.Rules)
	}
	fmt.Printf("%d groups, %d rules\n", len(groups), rules)
	return nil
}

func expressions(file string) error {
	text, err := os.Open(file)
	if err != nil {
		return err
	}
	defer text.Close()
	lines, count := bufio.NewScanner(text), 0
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if _, err := newParser().ParseExpr(lines.Text()); err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		count++
	}
	fmt.Printf("%d expressions\n", count)
	return lines.Err()
}
