package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// builder turns the attributes of one estimator into an estimator.
type builder func(a attrs) (*estimator, error)

// entry says how a class is built. Its modules are all that the class has lived in.
type entry struct {
	class   string
	modules []string
	build   builder // nil for classes that are only part of others
}

// entries are all classes; each family has its own list.
var entries = slices.Concat(
	linearEntries(), treeEntries(), ensembleEntries(), boostingEntries(), scalerEntries(), transformerEntries(),
	reductionEntries(), compositionEntries(), neighborEntries(), naiveBayesEntries(), discriminantEntries(),
	mixtureEntries(), svmEntries(), multiEntries(), otherEntries(), partEntries(), textEntries(), outlierEntries(), kernelEntries(),
	selectionModelEntries(), decompositionEntries(), clusterEntries(), wrapperEntries(), xgboostEntries(),
	lightgbmEntries(),
)

// in gives classes of one module the same builder. Without a builder they may only be part of others.
func in(modules string, build builder, classes ...string) []entry {
	var out []entry
	for _, class := range classes {
		out = append(out, entry{class, strings.Fields(modules), build})
	}
	return out
}

var registry map[pickle.Global]builder

func init() { registry = index(entries) } //nolint:gochecknoinits // builders refer to the registry themselves

func index(entries []entry) map[pickle.Global]builder {
	m := map[pickle.Global]builder{}
	for _, e := range entries {
		for _, module := range e.modules {
			m[pickle.Global{Module: module, Name: e.class}] = e.build
		}
	}
	return m
}

// Known reports whether a file may hold instances of a class.
func Known(g pickle.Global) bool {
	_, ok := registry[g]
	return ok
}

// loader builds the estimators of one file. One that is referred to twice is built twice, so that the number of them
// bounds the work of a prediction.
type loader struct {
	builders map[pickle.Global]builder
	root     *pickle.Object
	built    int
	trees    int // packed, and their nodes
	nodes    int
	library  string // that wrote a booster, with its version if it is in the file
	depth    int
	budget   int // memory that may still be used: arrays of a file can share bytes, copies of them don't
}

// newLoader allows memory for size bytes of pickle.
func newLoader(size int) *loader {
	return &loader{builders: registry, budget: 32<<20 + 16*size}
}

// spend takes n bytes off the budget.
func (l *loader) spend(n int) error {
	if l.budget -= n; l.budget < 0 {
		return errors.New("its arrays would need far more memory than a file of this size should")
	}
	return nil
}

// Caps on estimators inside estimators, and on all of a file.
const (
	maxDepth      = 16
	maxEstimators = 20_000
)

func (l *loader) build(v any) (*estimator, error) {
	o, ok := v.(*pickle.Object)
	if !ok {
		return nil, errors.New("want an estimator, and find something else")
	}
	build := l.builders[o.Class]
	if build == nil {
		return nil, fmt.Errorf("%s is no estimator", o.Class)
	}
	if l.depth++; l.depth > maxDepth {
		return nil, fmt.Errorf("estimators are nested more than %d deep", maxDepth)
	}
	if l.built++; l.built > maxEstimators {
		return nil, fmt.Errorf("there are more than %d estimators in it", maxEstimators)
	}
	e, err := build(attrs{o, l})
	l.depth--
	return e, err
}

// Estimators returns the names of all classes that a file may hold as an estimator, in order.
func Estimators() []string {
	var out []string
	for _, e := range entries {
		if e.build != nil && e.class[0] != '_' {
			out = append(out, e.class)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
