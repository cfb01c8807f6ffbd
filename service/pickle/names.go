package pickle

import (
	"errors"
	"fmt"

	"github.com/nlpodyssey/gopickle/types"
)

// functions are the names that stand for data that every estimator needs: numpy's arrays, scalars and types, and bytes.
// Those without a function are only names.
var functions = map[Global]function{
	{"numpy", "dtype"}:                                      newDType,
	{"numpy.core.multiarray", "_reconstruct"}:               reconstruct,
	{"numpy._core.multiarray", "_reconstruct"}:              reconstruct,
	{"numpy.core.multiarray", "scalar"}:                     scalar,
	{"numpy._core.multiarray", "scalar"}:                    scalar,
	{"numpy.core.numeric", "_frombuffer"}:                   fromBuffer,
	{"numpy._core.numeric", "_frombuffer"}:                  fromBuffer,
	{"numpy.core", "_ufunc_reconstruct"}:                    ufunc,
	{"numpy._core", "_ufunc_reconstruct"}:                   ufunc,
	{"_codecs", "encode"}:                                   encodeLatin1,
	{"__builtin__", "bytes"}:                                emptyBytes,
	{"builtins", "bytes"}:                                   emptyBytes,
	{"builtins", "bytearray"}:                               newByteArray,
	{"__builtin__", "bytearray"}:                            newByteArray,
	{"builtins", "slice"}:                                   newSlice,
	{"__builtin__", "slice"}:                                newSlice,
	{"__builtin__", "set"}:                                  newSet,
	{"builtins", "set"}:                                     newSet,
	{"numpy", "ndarray"}:                                    notCalled,
	{"copyreg", "_reconstructor"}:                           reconstructor,
	{"functools", "partial"}:                                partial,
	{"pandas.core.indexes.base", "_new_Index"}:              newIndex,
	{"pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"}: newBacked,
}

// names are all that a file may refer to without ever getting at anything.
var names = nameSet(map[string][]string{
	"numpy.random._pickle":                            {"__randomstate_ctor", "__bit_generator_ctor", "__generator_ctor"},
	"numpy.random._mt19937":                           {"MT19937"},
	"numpy.random.bit_generator":                      {"SeedSequence", "__pyx_unpickle_SeedSequence"},
	"numpy.random._pcg64":                             {"PCG64"},
	"sklearn.utils._metadata_requests":                {"MetadataRequest", "MethodMetadataRequest"},
	"xgboost.callback":                                {"EarlyStopping", "EvaluationMonitor"},
	"xgboost.collective":                              {"communicator_print"},
	"sklearn.neighbors._kd_tree":                      {"newObj", "KDTree", "KDTree64"},
	"sklearn.neighbors._ball_tree":                    {"newObj", "BallTree", "BallTree64"},
	"sklearn.neighbors._dist_metrics":                 distances,
	"sklearn.metrics._dist_metrics":                   distances,
	"sklearn.utils.validation":                        {"check_array"},
	"numpy.ma.core":                                   {"_mareconstruct", "MaskedArray"},
	"numpy.ma":                                        {"_mareconstruct", "MaskedArray"},
	"sklearn.feature_selection._univariate_selection": {"f_classif", "f_regression", "chi2"},
	"sklearn.feature_selection._mutual_info":          {"mutual_info_classif", "mutual_info_regression"},
	"sklearn.metrics._scorer": {
		"_PredictScorer", "_ProbaScorer", "_ThresholdScorer", "_Scorer", "_PassthroughScorer", "_passthrough_scorer",
	},
	"sklearn.metrics._classification": {
		"accuracy_score", "balanced_accuracy_score", "f1_score", "precision_score", "recall_score", "jaccard_score",
		"log_loss", "brier_score_loss", "matthews_corrcoef",
	},
	"sklearn.metrics._ranking": {"roc_auc_score", "average_precision_score", "top_k_accuracy_score"},
	"sklearn.metrics._regression": {
		"r2_score", "mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "median_absolute_error",
		"max_error", "explained_variance_score", "mean_squared_log_error", "mean_absolute_percentage_error",
		"mean_poisson_deviance", "mean_gamma_deviance", "d2_absolute_error_score",
	},
	"pandas":                     {"Index", "StringDtype"},
	"pandas.core.indexes.base":   {"Index"},
	"pandas.arrays":              {"StringArray"},
	"pandas.core.arrays.string_": {"StringArray", "StringDtype"},
	"sklearn.model_selection._split": {
		"KFold", "StratifiedKFold", "RepeatedKFold", "RepeatedStratifiedKFold", "ShuffleSplit", "StratifiedShuffleSplit",
	},
	"sklearn.model_selection._search_successive_halving": {"_refit_callable", "_SubsampleMetaSplitter"},
	"sklearn.neighbors._unsupervised":                    {"NearestNeighbors"},
	"sklearn.cluster._kmeans":                            {"_kmeans_single_lloyd", "_kmeans_single_elkan"},
	"scipy._lib.array_api_compat.numpy._aliases":         {"asarray"},
	"scipy._external.array_api_compat.numpy._aliases":    {"asarray"},
	"builtins":    {"object", "float", "int", "bool", "str", "dict", "list", "tuple", "len", "abs"},
	"__builtin__": {"float", "int", "bool", "str", "unicode", "dict", "list", "tuple", "abs"},
	"numpy": append([]string{
		"float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool_",
		"bool", "object_", "str_", "number", "integer", "floating",
	}, ufuncs...),
	"numpy.core._multiarray_umath":  ufuncs,
	"_loss":                         cythonLosses,
	"sklearn._loss._loss":           cythonLosses,
	"numpy._core._multiarray_umath": ufuncs,
})

// ufuncs are numpy's functions of one number that an estimator may refer to.
var ufuncs = []string{
	"log", "log1p", "log2", "log10", "exp", "expm1", "exp2", "sqrt", "cbrt", "square", "absolute", "abs", "fabs", "sin",
	"cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "reciprocal", "negative",
	"positive", "sign", "floor", "ceil", "trunc", "rint", "deg2rad", "rad2deg", "radians", "degrees", "nan_to_num",
}

// cythonLosses are the compiled parts of loss functions. What a prediction needs to know is in the class around them.
var cythonLosses = unpicklers(
	"CyHalfSquaredError", "CyAbsoluteError", "CyPinballLoss", "CyHuberLoss", "CyHalfPoissonLoss", "CyHalfGammaLoss",
	"CyHalfTweedieLoss", "CyHalfTweedieLossIdentity", "CyHalfBinomialLoss", "CyHalfMultinomialLoss", "CyExponentialLoss",
)

// unpicklers adds to the names of compiled classes those of the functions that make them.
func unpicklers(classes ...string) []string {
	out := classes
	for _, c := range classes {
		out = append(out, "__pyx_unpickle_"+c)
	}
	return out
}

// distances are the classes in which scikit-learn's trees of neighbours keep their metric.
var distances = []string{
	"newObj", "EuclideanDistance", "EuclideanDistance64", "ManhattanDistance", "ManhattanDistance64", "ChebyshevDistance",
	"ChebyshevDistance64", "MinkowskiDistance", "MinkowskiDistance64",
}

// dicts are classes that are a dict.
var dicts = map[Global]bool{
	{"collections", "defaultdict"}:    true,
	{"collections", "OrderedDict"}:    true,
	{"sklearn.utils._bunch", "Bunch"}: true,
	{"sklearn.utils", "Bunch"}:        true,
}

func nameSet(byModule map[string][]string) map[Global]bool {
	out := map[Global]bool{}
	for module, list := range byModule {
		for _, name := range list {
			out[Global{module, name}] = true
		}
	}
	return out
}

// dictLike is an instance of a class that is a dict. Its attributes are left out.
type dictLike struct{ items types.Dict }

// Set adds an entry.
func (d *dictLike) Set(key, value any) { d.items.Set(key, value) }

// PySetState drops the attributes.
func (d *dictLike) PySetState(any) error { return nil }

// notCalled stands for a name that is only handed to other constructors.
func notCalled([]any) (any, error) { return nil, errors.New("numpy.ndarray is called") }

// reconstructor is copyreg._reconstructor(class, base, state): how protocols 0 and 1 make instances.
func reconstructor(args []any) (any, error) {
	if len(args) != 3 {
		return nil, errors.New("copyreg._reconstructor wants a class, a base and a state")
	}
	base, _ := args[1].(*Named)
	c, ok := args[0].(types.PyNewable)
	if !ok || base == nil || base.Global.Module != "builtins" {
		return nil, errors.New("copyreg._reconstructor wants a class, a base and a state")
	}
	v, err := c.PyNew()
	if d, ok := v.(*dictLike); ok {
		if state, ok := args[2].(*types.Dict); ok {
			d.items = append(d.items, *state...)
		}
	}
	return v, err
}

// ufunc is numpy.core._ufunc_reconstruct(module, name).
func ufunc(args []any) (any, error) {
	if len(args) == 2 {
		module, ok := args[0].(string)
		name, ok2 := args[1].(string)
		if g := (Global{module, name}); ok && ok2 && names[g] {
			return &Named{g}, nil
		}
	}
	return nil, fmt.Errorf("the file refers to a function of numpy that this server doesn't know: it knows %q", ufuncs)
}

// Slice is Python's slice(start, stop, step), each an integer or None.
type Slice struct{ Start, Stop, Step any }

func newSlice(args []any) (any, error) {
	if len(args) != 3 {
		return nil, errors.New("a slice wants 3 values")
	}
	return &Slice{args[0], args[1], args[2]}, nil
}

// newByteArray is bytearray(bytes), or bytearray(text, 'latin-1') in protocols below 3.
func newByteArray(args []any) (any, error) {
	switch {
	case len(args) == 0:
		return []byte{}, nil
	case len(args) == 1:
		if h, ok := args[0].(*hollow); ok {
			return h, nil
		}
		return Bytes(args[0])
	case len(args) == 2 && args[1] == "latin-1":
		return encodeLatin1([]any{args[0], "latin1"})
	}
	return nil, errors.New("bytearray wants bytes, or a text and 'latin-1'")
}

// newSet is set(list): how protocols below 4 write sets. Sets are never asked for their elements.
func newSet(args []any) (any, error) { return &Named{}, nil }

// partial is functools.partial(function, …). It stays a name, of another kind than the function's own, because it
// hands arguments on.
func partial(args []any) (any, error) {
	if len(args) == 0 {
		return nil, errors.New("functools.partial wants a function")
	}
	n, ok := args[0].(*Named)
	if !ok {
		return nil, errors.New("functools.partial wants a function that is only named")
	}
	return &Named{Global{"functools.partial of " + n.Global.Module, n.Global.Name}}, nil
}
