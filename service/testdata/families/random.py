"""Every class with its default settings, and with settings and data of random shapes that a fixed seed draws."""

import zlib

import numpy as np
from sklearn import calibration as ca, cluster as cl, compose as co, covariance as cv, cross_decomposition as cd
from sklearn import decomposition as de, discriminant_analysis as da, dummy as du, ensemble as en, feature_selection as fs
from sklearn import gaussian_process as gp, impute as im, isotonic as iso, kernel_approximation as ka, kernel_ridge as kr
from sklearn import linear_model as lm, mixture as mi, multiclass as mc, multioutput as mo, naive_bayes as nb, neighbors as ne
from sklearn import neural_network as nn, preprocessing as pp, random_projection as rp, semi_supervised as ss, svm, tree as tr

try:
    import sklearn.experimental.enable_hist_gradient_boosting  # noqa: F401  (before 1.0)
except ImportError:
    pass

from .data import SEED


class Draw:
    """Draws settings and data for one model."""

    def __init__(self, name):
        self.r = np.random.RandomState(SEED % 2**31 ^ zlib.crc32(name.encode()))

    def __call__(self, **choices):
        """One of each setting's values; a pair of floats is a range on a logarithmic scale, of ints a range."""
        out = {}
        for key, values in choices.items():
            low, high = values[0], values[-1]
            if len(values) == 2 and all(type(v) is float for v in values):
                out[key] = float(f"{np.exp(self.r.uniform(np.log(low), np.log(high))):.4g}")
            elif len(values) == 2 and all(type(v) is int for v in values):
                out[key] = int(self.r.randint(low, high + 1))
            else:
                out[key] = values[self.r.randint(len(values))]
        return out

    def x(self, columns):
        rows, n = self.r.randint(20, 34), self.r.randint(columns[0], columns[1] + 1)
        return np.round(self.r.normal(size=(rows, n)) * self.r.uniform(0.5, 3, n) + self.r.uniform(-1, 1, n), 2)

    def target(self, x, kind):
        score = x @ self.r.uniform(-1, 1, x.shape[1]) + 0.3 * self.r.normal(size=len(x))
        return KINDS[kind](score, self.r)


def classes(n):
    def of(score, r):
        codes = np.digitize(score, np.quantile(score, np.arange(1, n) / n))
        return [codes, codes * 3 - 1, np.array(["a", "bb", "ä", "d"])[codes]][r.randint(3)]
    return of


KINDS = {
    "none": lambda score, r: None,
    "score": lambda score, r: np.round(score, 4),
    "positive": lambda score, r: np.round(np.exp(score / 4), 4) + 0.01,
    "two": lambda score, r: np.round(np.column_stack([score, score**2]), 4),
    "binary": classes(2), "classes": lambda score, r: classes(r.randint(2, 5))(score, r),
    "labels": lambda score, r: np.column_stack([score > 0, score > np.quantile(score, 0.7), r.uniform(size=len(score)) > 0.5]).astype(int),
    "partly": lambda score, r: np.where(r.uniform(size=len(score)) < 0.3, -1, (score > 0).astype(int)),
}


def holes(d, x):
    return np.where(d.r.uniform(size=x.shape) < 0.15, np.nan, x)


def counts(d, x):
    return np.round(np.abs(x) * 2).astype(int) % 5


def positive(d, x):
    return np.abs(x) + 0.1


def linear(**more):
    return dict(alpha=(0.001, 1.0), fit_intercept=[True, False], **more)


TREE = dict(max_depth=(2, 6), min_samples_leaf=(1, 5), max_features=[None, "sqrt", 0.7])
KERNEL = dict(kernel=["linear", "poly", "rbf", "sigmoid"], gamma=["scale", "auto", 0.2], degree=(2, 4), coef0=(0.1, 2.0))
NEAR = dict(weights=["uniform", "distance"], metric=["euclidean", "manhattan", "chebyshev"], algorithm=["auto", "brute", "ball_tree"])

# Class, target, the settings that are drawn, settings that are always there, and what is done to the columns.
CASES = [
    (lm.LinearRegression, "two", dict(fit_intercept=[True, False]), {}, None),
    (lm.Ridge, "two", linear(solver=["auto", "svd", "cholesky"]), {}, None),
    (lm.Lasso, "score", linear(positive=[True, False]), {}, None),
    (lm.ElasticNet, "score", linear(l1_ratio=(0.1, 0.9)), {}, None),
    (lm.SGDRegressor, "score", linear(loss=["huber", "epsilon_insensitive"], penalty=["l2", "l1"]), dict(random_state=0), None),
    (lm.SGDClassifier, "classes", linear(loss=["hinge", "modified_huber", "squared_hinge"], average=[True, False]), dict(random_state=0), None),
    (lm.LogisticRegression, "classes", dict(C=(0.01, 9.0), fit_intercept=[True, False]), dict(max_iter=500), None),
    (lm.LogisticRegressionCV, "classes", dict(Cs=(2, 4), cv=(2, 3)), dict(max_iter=300), None),
    (lm.Perceptron, "classes", dict(penalty=[None, "l1", "l2"], eta0=(0.1, 2.0)), dict(random_state=0), None),
    (lm.PassiveAggressiveClassifier, "classes", dict(C=(0.1, 3.0), loss=["hinge", "squared_hinge"]), dict(random_state=0), None),
    (lm.PassiveAggressiveRegressor, "score", dict(C=(0.1, 3.0)), dict(random_state=0), None),
    (lm.RidgeClassifier, "classes", linear(), {}, None),
    (lm.RidgeClassifierCV, "classes", dict(fit_intercept=[True, False]), {}, None),
    (lm.PoissonRegressor, "positive", linear(), {}, None), (lm.GammaRegressor, "positive", linear(), {}, None),
    (lm.TweedieRegressor, "positive", linear(power=[0, 1, 1.5, 2, 3]), {}, None),
    (lm.HuberRegressor, "score", linear(epsilon=(1.1, 3.0)), dict(max_iter=500), None),
    (lm.BayesianRidge, "score", dict(alpha_1=(1e-6, 1e-2), fit_intercept=[True, False]), {}, None),
    (lm.ARDRegression, "score", dict(fit_intercept=[True, False]), {}, None),
    (lm.TheilSenRegressor, "score", dict(fit_intercept=[True, False]), dict(random_state=0, max_subpopulation=50), None),
    (lm.RANSACRegressor, "two", dict(max_trials=(20, 60)), dict(random_state=0), None),
    (svm.LinearSVC, "classes", dict(C=(0.05, 2.0), fit_intercept=[True, False]), dict(max_iter=9000, random_state=0), None),
    (svm.LinearSVR, "score", dict(C=(0.05, 2.0), epsilon=(0.01, 0.5)), dict(max_iter=9000, random_state=0), None),
    (svm.SVC, "classes", dict(C=(0.2, 5.0), decision_function_shape=["ovo", "ovr"], probability=[True, False], **KERNEL), dict(random_state=0), None),
    (svm.NuSVC, "classes", dict(nu=(0.1, 0.4), **KERNEL), {}, None),
    (svm.SVR, "score", dict(C=(0.2, 5.0), epsilon=(0.01, 0.5), **KERNEL), {}, None),
    (svm.NuSVR, "score", dict(nu=(0.1, 0.9), **KERNEL), {}, None), (svm.OneClassSVM, "none", dict(nu=(0.1, 0.6), **KERNEL), {}, None),
    (ne.KNeighborsClassifier, "classes", dict(n_neighbors=(1, 9), **NEAR), {}, None),
    (ne.KNeighborsRegressor, "two", dict(n_neighbors=(1, 9), **NEAR), {}, None),
    (ne.RadiusNeighborsClassifier, "classes", dict(radius=(30.0, 90.0), **NEAR), dict(outlier_label="most_frequent"), None),
    (ne.RadiusNeighborsRegressor, "two", dict(radius=(1.5, 9.0), **NEAR), {}, None),
    (ne.LocalOutlierFactor, "none", dict(n_neighbors=(3, 20), contamination=["auto", 0.2]), dict(novelty=True), None),
    (ne.NearestCentroid, "classes", dict(shrink_threshold=[None, 0.1, 0.3]), {}, None),
    (nb.GaussianNB, "classes", dict(var_smoothing=(1e-9, 1e-3)), {}, None),
    (nb.MultinomialNB, "classes", dict(alpha=(0.1, 3.0), fit_prior=[True, False]), {}, counts),
    (nb.ComplementNB, "classes", dict(alpha=(0.1, 3.0), norm=[True, False]), {}, counts),
    (nb.BernoulliNB, "classes", dict(alpha=(0.1, 3.0), binarize=[0.0, 0.5, 1.5]), {}, None),
    (nb.CategoricalNB, "classes", dict(alpha=(0.1, 3.0), min_categories=[6, 8]), {}, counts),
    (tr.DecisionTreeClassifier, "classes", TREE, dict(random_state=0), None),
    (tr.DecisionTreeRegressor, "two", TREE, dict(random_state=0), None),
    (tr.ExtraTreeClassifier, "classes", TREE, dict(random_state=0), None), (tr.ExtraTreeRegressor, "score", TREE, dict(random_state=0), None),
    (en.RandomForestClassifier, "classes", dict(n_estimators=(2, 5), bootstrap=[True, False], **TREE), dict(n_estimators=3, random_state=0), None),
    (en.RandomForestRegressor, "two", dict(n_estimators=(2, 5), **TREE), dict(n_estimators=3, random_state=0), None),
    (en.ExtraTreesClassifier, "classes", dict(n_estimators=(2, 5), **TREE), dict(n_estimators=3, random_state=0), None),
    (en.ExtraTreesRegressor, "score", dict(n_estimators=(2, 5), **TREE), dict(n_estimators=3, random_state=0), None),
    (en.GradientBoostingClassifier, "classes", dict(n_estimators=(2, 5), learning_rate=(0.05, 0.5), subsample=[1.0, 0.6], max_depth=(1, 4)),
     dict(n_estimators=3, random_state=0), None),
    (en.GradientBoostingRegressor, "score", dict(n_estimators=(2, 5), learning_rate=(0.05, 0.5), loss=["huber", "quantile"], max_depth=(1, 4)),
     dict(n_estimators=3, random_state=0), None),
    (en.HistGradientBoostingClassifier, "classes", dict(max_iter=(2, 5), learning_rate=(0.05, 0.5), max_leaf_nodes=(4, 15)),
     dict(max_iter=3, min_samples_leaf=4), holes),
    (en.HistGradientBoostingRegressor, "positive", dict(max_iter=(2, 5), learning_rate=(0.05, 0.5), loss=["poisson", "squared_error"], max_bins=(8, 60)),
     dict(max_iter=3, min_samples_leaf=4), holes),
    (en.AdaBoostClassifier, "classes", dict(n_estimators=(2, 6), learning_rate=(0.3, 2.0)), dict(n_estimators=3, random_state=0), None),
    (en.AdaBoostRegressor, "score", dict(n_estimators=(2, 6), loss=["linear", "square", "exponential"]), dict(n_estimators=3, random_state=0), None),
    (en.BaggingClassifier, "classes", dict(n_estimators=(2, 4), max_features=[1.0, 0.6], bootstrap_features=[True, False]),
     dict(n_estimators=2, max_samples=0.4, random_state=0), None),
    (en.BaggingRegressor, "score", dict(n_estimators=(2, 4), max_features=[1.0, 0.6]), dict(n_estimators=2, max_samples=0.4, random_state=0), None),
    (en.IsolationForest, "none", dict(n_estimators=(2, 6), max_features=[1.0, 0.6], contamination=["auto", 0.2]),
     dict(n_estimators=4, max_samples=20, random_state=0), None),
    (lambda **k: en.VotingClassifier([("a", lm.LogisticRegression(max_iter=300)), ("b", nb.GaussianNB())], **k), "classes",
     dict(voting=["hard", "soft"], weights=[None, [1, 2]]), {}, None),
    (lambda **k: en.VotingRegressor([("a", lm.Ridge()), ("b", tr.DecisionTreeRegressor(max_depth=2))], **k), "score",
     dict(weights=[None, [1, 2]]), {}, None),
    (lambda **k: en.StackingClassifier([("a", lm.LogisticRegression(max_iter=300)), ("b", nb.GaussianNB())], **k), "classes",
     dict(cv=(2, 4), passthrough=[True, False]), {}, None),
    (lambda **k: en.StackingRegressor([("a", lm.Ridge()), ("b", tr.DecisionTreeRegressor(max_depth=2))], **k), "score",
     dict(cv=(2, 4), passthrough=[True, False]), {}, None),
    (lambda **k: mc.OneVsRestClassifier(lm.LogisticRegression(max_iter=300), **k), "classes", {}, {}, None),
    (lambda **k: mc.OneVsRestClassifier(lm.LogisticRegression(max_iter=300), **k), "labels", {}, {}, None),
    (lambda **k: mc.OneVsOneClassifier(lm.LogisticRegression(max_iter=300), **k), "classes", {}, {}, None),
    (lambda **k: mc.OutputCodeClassifier(lm.LogisticRegression(max_iter=300), **k), "classes", dict(code_size=(1.0, 3.0)), dict(random_state=0), None),
    (lambda **k: mo.MultiOutputClassifier(lm.LogisticRegression(max_iter=300), **k), "labels", {}, {}, None),
    (lambda **k: mo.MultiOutputRegressor(lm.Ridge(), **k), "two", {}, {}, None),
    (lambda **k: mo.ClassifierChain(lm.LogisticRegression(max_iter=300), **k), "labels", dict(order=[None, "random"], cv=[None, 3]), dict(random_state=1), None),
    (lambda **k: mo.RegressorChain(lm.Ridge(), **k), "two", dict(order=[None, "random"], cv=[None, 3]), dict(random_state=1), None),
    (lambda **k: ca.CalibratedClassifierCV(nb.GaussianNB(), **k), "classes", dict(method=["sigmoid", "isotonic"], ensemble=[True, False]), dict(cv=2), None),
    (nn.MLPClassifier, "classes", dict(hidden_layer_sizes=[(3,), (4, 2)], activation=["tanh", "relu", "logistic"], solver=["adam", "lbfgs"]),
     dict(hidden_layer_sizes=(4,), max_iter=40, random_state=0), None),
    (nn.MLPRegressor, "two", dict(hidden_layer_sizes=[(3,), (4, 2)], activation=["tanh", "relu", "logistic"], solver=["sgd", "lbfgs"]),
     dict(hidden_layer_sizes=(4,), max_iter=40, random_state=0), None),
    (da.LinearDiscriminantAnalysis, "classes", dict(solver=["lsqr", "eigen"], shrinkage=[None, "auto", 0.3]), {}, None),
    (da.QuadraticDiscriminantAnalysis, "classes", dict(reg_param=(0.01, 0.5)), dict(reg_param=0.1), None),
    (gp.GaussianProcessRegressor, "two", dict(alpha=(1e-3, 1.0), normalize_y=[True, False]), dict(optimizer=None), None),
    (gp.GaussianProcessClassifier, "binary", dict(max_iter_predict=(20, 60)), dict(optimizer=None), None),
    (kr.KernelRidge, "two", dict(alpha=(0.01, 2.0), kernel=["poly", "rbf", "laplacian"], gamma=(0.05, 1.0)), {}, None),
    (cl.KMeans, "none", dict(n_clusters=(2, 6), init=["random", "k-means++"]), dict(n_init=2, random_state=0), None),
    (cl.MiniBatchKMeans, "none", dict(n_clusters=(2, 6)), dict(n_init=2, random_state=0), None),
    (cl.Birch, "none", dict(threshold=(0.5, 3.0), n_clusters=(2, 4)), {}, None), (cl.MeanShift, "none", dict(bandwidth=(1.5, 4.0)), {}, None),
    (lambda **k: cl.BisectingKMeans(**k), "none", dict(n_clusters=(2, 6)), dict(random_state=0), None),
    (mi.GaussianMixture, "none", dict(n_components=(2, 4), covariance_type=["full", "tied", "diag", "spherical"]), dict(n_components=2, random_state=0), None),
    (mi.BayesianGaussianMixture, "none", dict(n_components=(2, 4), covariance_type=["full", "tied", "diag", "spherical"]),
     dict(n_components=2, random_state=0), None),
    (cd.PLSRegression, "two", dict(n_components=(1, 2), scale=[True, False]), {}, None), (cd.CCA, "two", dict(scale=[True, False]), dict(n_components=1), None),
    (du.DummyClassifier, "classes", dict(strategy=["prior", "most_frequent"]), {}, None),
    (du.DummyRegressor, "two", dict(strategy=["mean", "median"]), {}, None),
    (lambda **k: co.TransformedTargetRegressor(lm.Ridge(), transformer=pp.StandardScaler(), **k), "two", {}, {}, None),
    (cv.EllipticEnvelope, "none", dict(contamination=(0.05, 0.4)), dict(random_state=0), None),
    (ss.LabelSpreading, "partly", dict(gamma=(0.2, 5.0), alpha=(0.1, 0.9)), dict(gamma=1.0), None),
    (ss.SelfTrainingClassifier, "partly", dict(threshold=(0.6, 0.9)), dict(), None),
    (pp.StandardScaler, "none", dict(with_mean=[True, False], with_std=[True, False]), {}, None),
    (pp.MinMaxScaler, "none", dict(feature_range=[(-1, 1), (0, 5)], clip=[True, False]), {}, None), (pp.MaxAbsScaler, "none", {}, {}, None),
    (pp.RobustScaler, "none", dict(with_centering=[True, False], quantile_range=[(10, 90), (25, 75)], unit_variance=[True, False]), {}, None),
    (pp.Normalizer, "none", dict(norm=["l1", "max"]), {}, None), (pp.Binarizer, "none", dict(threshold=(0.1, 1.0)), {}, None),
    (pp.PowerTransformer, "none", dict(standardize=[True, False], method=["yeo-johnson", "box-cox"]), {}, positive),
    (pp.QuantileTransformer, "none", dict(n_quantiles=(5, 30), output_distribution=["uniform", "normal"]), dict(n_quantiles=20), None),
    (pp.PolynomialFeatures, "none", dict(degree=(2, 3), interaction_only=[True, False], include_bias=[True, False]), {}, None),
    (lambda **k: pp.SplineTransformer(**k), "none", dict(n_knots=(3, 7), degree=(1, 4), knots=["uniform", "quantile"], include_bias=[True, False],
                                                          extrapolation=["constant", "linear", "continue", "periodic"]), {}, None),
    (pp.KBinsDiscretizer, "none", dict(n_bins=(2, 6), encode=["onehot", "ordinal"], strategy=["uniform", "quantile", "kmeans"]), {}, None),
    (im.SimpleImputer, "none", dict(strategy=["median", "most_frequent"], add_indicator=[True, False]), {}, holes),
    (im.KNNImputer, "none", dict(n_neighbors=(1, 9), weights=["uniform", "distance"], add_indicator=[True, False]), {}, holes),
    (im.MissingIndicator, "none", dict(features=["missing-only", "all"]), dict(error_on_new=False), holes),
    (de.PCA, "none", dict(n_components=(1, 2), whiten=[True, False]), {}, None), (de.TruncatedSVD, "none", {}, dict(n_components=1, random_state=0), None),
    (de.IncrementalPCA, "none", dict(n_components=(1, 2), whiten=[True, False]), {}, None),
    (de.KernelPCA, "none", dict(kernel=["poly", "rbf", "sigmoid", "cosine"], gamma=(0.05, 0.5)), dict(n_components=2), None),
    (de.FastICA, "none", dict(fun=["logcosh", "exp", "cube"]), dict(n_components=2, max_iter=900, random_state=0), None),
    (de.FactorAnalysis, "none", dict(n_components=(1, 2)), dict(n_components=2), None),
    (de.SparsePCA, "none", dict(n_components=(1, 2), alpha=(0.2, 3.0), ridge_alpha=(0.01, 1.0)), dict(n_components=2, random_state=0), None),
    (rp.GaussianRandomProjection, "none", dict(n_components=(1, 4)), dict(n_components=2, random_state=0), None),
    (rp.SparseRandomProjection, "none", dict(n_components=(1, 4), density=[0.3, 1.0]), dict(n_components=2, random_state=0), None),
    (ka.Nystroem, "none", dict(n_components=(2, 9), kernel=["poly", "laplacian", "sigmoid"], gamma=(0.05, 1.0)), dict(n_components=4, random_state=0), None),
    (ka.RBFSampler, "none", dict(n_components=(2, 9), gamma=(0.05, 1.0)), dict(n_components=4, random_state=0), None),
    (ka.PolynomialCountSketch, "none", dict(n_components=(2, 9), degree=(1, 3), gamma=(0.1, 1.0), coef0=[0, 1]), dict(n_components=4, random_state=0), None),
    (ka.AdditiveChi2Sampler, "none", dict(sample_steps=(1, 3)), {}, positive),
    (fs.SelectKBest, "classes", dict(k=(1, 2)), dict(k=1), None), (fs.SelectPercentile, "classes", dict(percentile=(40, 90)), dict(percentile=50), None),
    (fs.GenericUnivariateSelect, "classes", dict(mode=["k_best"], param=(1, 2)), dict(mode="percentile", param=60), None),
    (fs.VarianceThreshold, "none", dict(threshold=(0.05, 0.3)), {}, None),
    (lambda **k: fs.SelectFromModel(en.RandomForestClassifier(3, max_depth=3, random_state=0), **k), "classes", dict(threshold=["median", "0.8*mean"]), {}, None),
    (lambda **k: fs.RFE(lm.Ridge(), **k), "score", dict(n_features_to_select=(1, 2), step=[1, 2, 0.5]), {}, None),
]


def build(name, make, kind, choices, fixed, change, drawn):
    d = Draw(name)
    x = d.x((1, 1) if make is iso.IsotonicRegression else (3, 6))
    y = d.target(x, kind)
    if change:
        x = change(d, x)
    settings = {**fixed, **(d(**choices) if drawn else {})}
    if make is ss.SelfTrainingClassifier:
        make = lambda **k: ss.SelfTrainingClassifier(lm.LogisticRegression(), **k)  # noqa: E731
    model = make(**settings), x, y
    return (*model, x[:6] if change is counts else np.vstack([x[:5], np.round(x[:2] * 1.3, 2)]))


def models():
    out = {}
    for make, kind, choices, fixed, change in CASES + [(iso.IsotonicRegression, "score", {}, dict(out_of_bounds="clip"), None)]:
        title = make.__name__ if isinstance(make, type) else next(n for n in make.__code__.co_names if n[0].isupper())
        for i in range(3):
            name = f"{title}-{kind}-{i}"
            out[name] = lambda n=name, i=i, m=make, k=kind, c=choices, f=fixed, ch=change: build(n, m, k, c, f, ch, i > 0)
    return out
