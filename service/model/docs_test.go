package model_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/pickle"
)

var update = flag.Bool("update", false, "write docs/models.md")

const docPath = "../../docs/models.md"

// coverage is how many fixtures hold a thing: by its name and the version of scikit-learn.
type coverage map[string]map[string]int

func (c coverage) add(name, version string) {
	if c[name] == nil {
		c[name] = map[string]int{}
	}
	c[name][version]++
}

// table writes one line for each name.
func (c coverage) table(b *strings.Builder, what string, names, versions []string) {
	fmt.Fprintf(b, "| %s | %s |\n|---|%s\n", what, strings.Join(versions, " | "), strings.Repeat("---|", len(versions)))
	for _, name := range names {
		fmt.Fprintf(b, "| %s |", name)
		for _, v := range versions {
			if n := c[name][v]; n > 0 {
				fmt.Fprintf(b, " %d |", n)
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
}

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// classes returns the estimators of a library that a file holds, at whatever depth.
func classes(t *testing.T, content []byte, library string) []string {
	t.Helper()
	data, err := pickle.Unpack(content, model.Known)
	if err != nil {
		t.Fatal(err)
	}
	found, all := map[string]bool{}, model.Estimators()
	if _, err := pickle.Load(data, func(g pickle.Global) bool {
		if slices.Contains(all, g.Name) && strings.HasPrefix(g.Module, library) {
			found[g.Name] = true
		}
		return model.Known(g)
	}); err != nil {
		t.Fatal(err)
	}
	return keys(found)
}

const docHead = `# Model files that the inference service reads

Written by ` + "`go test ./service/model -run TestModelsDoc -update`" + ` from the fixtures in service/testdata. A number
is how many files of that version of a library the tests load and compare with the library's own answers: numbers to
1e-9 relative (1e-5 where the library itself computes in 32 bits), classes exactly; probabilities and decision values
likewise, where the estimator has them. A dash means that there is no such fixture: mostly that the version doesn't
have it.
`

const docRefused = `
Every estimator is read from every format: the formats lie below the estimators.

## Classes that are refused

All others of scikit-learn 1.9.1 are in the table above.

| class | why | what to do |
|---|---|---|
`

const docLimits = `
## Limits

A file that needs something else is refused when it is loaded, with the class or parameter in the error.

- Pickles of Python 2 and of joblib before 0.10.
- Vectorizers of texts: functions of your own as analyzer, tokenizer or preprocessor; runs of more than 16 terms; a
  token_pattern that Go's regular expressions don't have, or with \b elsewhere than around letters of one class.
- null is what is missing, be it None or NaN in Python: where an encoder knows both, it is None.
- FunctionTransformer: numpy's functions of one number only. TransformedTargetRegressor: with FunctionTransformer,
  StandardScaler or MinMaxScaler only.
- KNeighbors: euclidean, manhattan, chebyshev and minkowski distances; uniform or distance weights.
- Kernels and metrics of one's own, and precomputed ones, of SVM, KernelRidge, KernelPCA, Nystroem and neighbours: a
  file's functions are not run. KNNImputer: nan_euclidean only.
- RadiusNeighborsClassifier: several outputs, and an outlier_label that is no class. SelectFromModel: an
  importance_getter other than coef_ and feature_importances_. Calibration by temperature.
- Gaussian processes: Matern with nu 0.5, 1.5, 2.5 or infinity only; no deviations. One-against-one classifiers have no
  probabilities, as in scikit-learn.
- DummyClassifier with a random strategy.
- XGBoost: the binary format of before 1.6, where a file is in it; the objective reg:expectileerror and those of one's
  own; two classes by multi:softprob. Categories of pandas are known since XGBoost 3.1; for a file of before that, a
  request has the codes in their place.
- LightGBM: objectives of one's own. pandas' categories mixed with columns that were named in categorical_feature.
`

// libraries are those whose files are read, as their modules are called, and their names.
var libraries = [][2]string{{"sklearn", "scikit-learn"}, {"xgboost", "XGBoost"}, {"lightgbm", "LightGBM"}}

func TestModelsDoc(t *testing.T) {
	estimators, versions := map[string]coverage{}, map[string]map[string]bool{}
	for _, l := range libraries {
		estimators[l[0]], versions[l[0]] = coverage{}, map[string]bool{}
	}
	formats, all := coverage{}, map[string]bool{}
	for _, f := range fixtures(t) {
		library, version, _ := strings.Cut(strings.Split(f.name, "/")[0], "-")
		versions[library][version] = true
		if f.Format != "" {
			formats.add(f.Format, version)
		}
		for _, class := range classes(t, f.content, library) {
			estimators[library].add(class, version)
			all[class] = true
		}
	}
	for _, class := range model.Estimators() {
		if !all[class] {
			t.Errorf("%s has no fixture", class)
		}
	}
	delete(formats, "pickle")
	var b strings.Builder
	b.WriteString(docHead)
	for _, l := range libraries {
		fmt.Fprintf(&b, "\n## %s\n\n", l[1])
		estimators[l[0]].table(&b, "estimator", keys(estimators[l[0]]), keys(versions[l[0]]))
	}
	b.WriteString("\n## Formats\n\n")
	formats.table(&b, "format", keys(formats), keys(versions["sklearn"]))
	b.WriteString(docRefused)
	for _, r := range model.Refusals() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Join(r.Classes, ", "), r.Why, r.Do)
	}
	b.WriteString(docLimits)
	if *update {
		if err := os.WriteFile(docPath, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(docPath); err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the fixtures say: run this test with -update (%v)", docPath, err)
	}
}
