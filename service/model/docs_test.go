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

// classes returns the estimators that a file holds, at whatever depth.
func classes(t *testing.T, content []byte) []string {
	t.Helper()
	data, err := pickle.Unpack(content)
	if err != nil {
		t.Fatal(err)
	}
	found, all := map[string]bool{}, model.Estimators()
	if _, err := pickle.Load(data, func(g pickle.Global) bool {
		if slices.Contains(all, g.Name) {
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
is how many files of that version of scikit-learn the tests load and compare with scikit-learn's own answers: numbers
to 1e-9 relative (1e-5 where scikit-learn itself computes in 32 bits), classes exactly; probabilities and decision
values likewise, where the estimator has them. A dash means that there is no such fixture: mostly that the version
doesn't have it.

`

const docLimits = `
## Limits

A file that needs something else is refused when it is loaded, with the class or parameter in the error.

- Pickles of Python 2 and of joblib before 0.10.
- Text as input: encoders take numbers only. Grouping rare categories (min_frequency, max_categories).
- Slices of columns by name, and a single column in place of a list, in ColumnTransformer.
- FunctionTransformer: numpy's functions of one number only. TransformedTargetRegressor: with FunctionTransformer,
  StandardScaler or MinMaxScaler only.
- KNeighbors: euclidean, manhattan, chebyshev and minkowski distances; uniform or distance weights.
- SVM: no precomputed or own kernels. OneVsRest: no several labels for a row. Calibration by temperature.
- Gaussian processes: Matern with nu 0.5, 1.5, 2.5 or infinity only; no deviations.
- DummyClassifier with a random strategy.
`

func TestModelsDoc(t *testing.T) {
	estimators, formats, versions := coverage{}, coverage{}, map[string]bool{}
	for _, f := range fixtures(t) {
		version := strings.TrimPrefix(strings.Split(f.name, "/")[0], "sklearn-")
		versions[version] = true
		if f.Format != "" && strings.Contains(f.name, "/formats/") {
			formats.add(f.Format, version)
		}
		for _, class := range classes(t, f.content) {
			estimators.add(class, version)
		}
	}
	for _, class := range model.Estimators() {
		if len(estimators[class]) == 0 {
			t.Errorf("%s has no fixture", class)
		}
	}
	delete(formats, "pickle")
	var b strings.Builder
	b.WriteString(docHead)
	order := keys(versions)
	estimators.table(&b, "estimator", keys(estimators), order)
	b.WriteString("\n## Formats\n\n")
	formats.table(&b, "format", keys(formats), order)
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
