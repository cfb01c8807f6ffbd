package model_test

import (
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
)

// object is an instance of a class with a state of keys and values, which are pickled already.
func object(module, name string, state ...string) string {
	out := global(module, name) + ")\x81}("
	for i := 0; i < len(state); i += 2 {
		out += text(state[i]) + state[i+1]
	}
	return out + "ub"
}

func vector(v ...float64) string { return array(simple("f8"), integer(len(v))+"\x85", floats(v...)) }

func matrix(rows, columns int, v ...float64) string {
	return array(simple("f8"), tuple(integer(rows), integer(columns)), floats(v...))
}

func labels(v ...int64) string { return array(simple("i8"), integer(len(v))+"\x85", ints(v...)) }

// TestRefusesEstimatorsThatLie has attributes that don't fit one another, which a prediction would fall over.
func TestRefusesEstimatorsThatLie(t *testing.T) {
	knn := func(y, k string) string {
		return object("sklearn.neighbors._classification", "KNeighborsClassifier", "classes_", labels(0, 1), "_fit_X",
			matrix(2, 1, 0, 1), "_y", y, "n_neighbors", k, "weights", text("uniform"), "effective_metric_", text("euclidean"))
	}
	svc := func(support string) string {
		return object("sklearn.svm._classes", "SVC", "classes_", labels(0, 1), "support_vectors_", matrix(2, 1, 0, 1),
			"_dual_coef_", matrix(1, 2, 1, -1), "_intercept_", vector(0), "_n_support", support, "kernel", text("linear"),
			"_gamma", integer(1), "coef0", integer(0), "degree", integer(3))
	}
	huge := integer(1 << 30)
	function := object("sklearn.preprocessing._function_transformer", "FunctionTransformer", "func", "N")
	tests := []struct{ name, data, want string }{
		{"KNN class out of range", knn(labels(0, 2), integer(1)), "class that there is not"},
		{"KNN negative class", knn(labels(0, -1), integer(1)), "class that there is not"},
		{"KNN more neighbours than rows", knn(labels(0, 1), integer(3)), "there are 2 rows"},
		{"KNN no neighbours", knn(labels(0, 1), integer(0)), "there are 2 rows"},
		{"SVC support", svc(labels(2, 1)), "don't add up"},
		{"SVC negative support", svc(labels(-1, 3)), "has -1 vectors"},
		{"columns of an imputer", object("sklearn.impute._base", "MissingIndicator", "missing_values", vector(0)), "missing_values"},
		{"width of a normalizer", object("sklearn.preprocessing._data", "Normalizer", "n_features_in_", huge), "want 1 to"},
		{
			"degree of polynomials",
			object("sklearn.preprocessing._data", "PolynomialFeatures", "n_features_in_", integer(1000), "degree", integer(60),
				"interaction_only", "\x89", "include_bias", "\x88"), "far more memory",
		},
		{"pipeline of no width", object("sklearn.pipeline", "Pipeline", "steps", "]("+text("a")+function+"\x86"+
			text("b")+function+"\x86e"), "takes -1 columns"},
		{"quantiles that fall", object("sklearn.preprocessing._data", "QuantileTransformer", "quantiles_",
			matrix(2, 1, 1, 0), "references_", vector(0, 1)), "don't rise"},
		{"layers", object("sklearn.neural_network._multilayer_perceptron", "MLPRegressor", "coefs_",
			"]("+matrix(1, 2, 1, 2)+matrix(3, 1, 1, 2, 3)+"e", "intercepts_", "]("+vector(0, 0)+vector(0)+"e", "activation",
			text("relu"), "out_activation_", text("identity")), "fit together"},
		{"function from elsewhere", object("sklearn.preprocessing._function_transformer", "FunctionTransformer", "func",
			global("sklearn.utils.validation", "check_array")), "numpy's functions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := model.Load([]byte("\x80\x04" + tt.data + "."))
			if err == nil {
				t.Fatalf("loaded %v", m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
		})
	}
	if _, err := model.Load([]byte("\x80\x04" + knn(labels(0, 1), integer(1)) + ".")); err != nil {
		t.Errorf("an honest one: %v", err)
	}
}

// TestRefusesEstimatorsSharedToExhaustion doubles pipelines within pipelines: small in the file, endless to compute.
func TestRefusesEstimatorsSharedToExhaustion(t *testing.T) {
	inner := object("sklearn.preprocessing._data", "Normalizer", "n_features_in_", integer(1), "norm", text("l2"))
	data := inner + "\x94"
	for i := range 14 {
		memo := "h" + string([]byte{byte(i)})
		steps := "](" + text("a") + data + "\x86" + strings.Repeat(text("a")+memo+"\x86", 3) + "e"
		data = object("sklearn.pipeline", "Pipeline", "steps", steps) + "\x94"
	}
	_, err := model.Load([]byte("\x80\x04" + data + "."))
	if err == nil || !strings.Contains(err.Error(), "more than 20000 estimators") {
		t.Errorf("got %v", err)
	}
}
