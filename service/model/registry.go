package model

import (
	"errors"
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// builder turns the attributes of one estimator into an Estimator.
type builder func(a attrs) (Estimator, error)

// entry says how a class is built. Its modules are all that the class has lived in.
type entry struct {
	class   string
	modules []string
	build   builder // nil for classes that are only part of others
}

var entries = []entry{
	{"LinearRegression", []string{"sklearn.linear_model._base", "sklearn.linear_model.base"}, buildLinearRegression},
	{
		"LogisticRegression",
		[]string{"sklearn.linear_model._logistic", "sklearn.linear_model.logistic"},
		buildLogisticRegression,
	},
	{"DecisionTreeClassifier", []string{"sklearn.tree._classes", "sklearn.tree.tree"}, buildTreeClassifier},
	{"DecisionTreeRegressor", []string{"sklearn.tree._classes", "sklearn.tree.tree"}, buildTreeRegressor},
	{"RandomForestClassifier", []string{"sklearn.ensemble._forest", "sklearn.ensemble.forest"}, buildForestClassifier},
	{"RandomForestRegressor", []string{"sklearn.ensemble._forest", "sklearn.ensemble.forest"}, buildForestRegressor},
	{"StandardScaler", []string{"sklearn.preprocessing._data", "sklearn.preprocessing.data"}, buildStandardScaler},
	{"Pipeline", []string{"sklearn.pipeline"}, buildPipeline},
	{"Tree", []string{"sklearn.tree._tree"}, nil},
}

var registry = index(entries)

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

// loader builds the estimators of one file. One that is referred to twice is built once.
type loader struct {
	builders map[pickle.Global]builder
	built    map[*pickle.Object]Estimator
	depth    int
	budget   int // memory that may still be used: arrays of a file can share bytes, copies of them don't
}

// newLoader allows memory for size bytes of pickle.
func newLoader(size int) *loader {
	return &loader{builders: registry, built: map[*pickle.Object]Estimator{}, budget: 64<<20 + 16*size}
}

// spend takes n bytes off the budget.
func (l *loader) spend(n int) error {
	if l.budget -= n; l.budget < 0 {
		return errors.New("its arrays would need far more memory than a file of this size should")
	}
	return nil
}

// maxDepth caps estimators inside estimators.
const maxDepth = 16

func (l *loader) build(v any) (Estimator, error) {
	o, ok := v.(*pickle.Object)
	if !ok {
		return nil, errors.New("want an estimator, and find something else")
	}
	if e := l.built[o]; e != nil {
		return e, nil
	}
	build := l.builders[o.Class]
	if build == nil {
		return nil, fmt.Errorf("%s is no estimator", o.Class)
	}
	if l.depth++; l.depth > maxDepth {
		return nil, fmt.Errorf("estimators are nested more than %d deep", maxDepth)
	}
	e, err := build(attrs{o, l})
	l.depth--
	if err != nil {
		return nil, err
	}
	l.built[o] = e
	return e, nil
}
