"""Splines, imputation by neighbours, selection by models, projections and maps of kernels."""

import numpy as np
from sklearn import decomposition as de, ensemble as en, feature_selection as fs, impute as im, kernel_approximation as ka
from sklearn import linear_model as lm, preprocessing as pp, random_projection as rp, svm, tree as tr
from sklearn.pipeline import make_pipeline

from .data import BINARY, COUNTS, HOLES, NAMES, SCORE, THREE, X

EMPTY = HOLES.copy()
EMPTY[:, 2] = np.nan
HOLED = np.where(np.isnan(HOLES), -1, HOLES)
WIDE = np.vstack([X[:8], X[:5] * 3, X[8:11] * -2])
SMALL = X / np.array([1, 3, 0.5, 20, 1])
POSITIVE = np.abs(SMALL)


def models():
    out = {
        "spline-no-bias": lambda: (pp.SplineTransformer(n_knots=4, include_bias=False), X, None, WIDE),
        "spline-quantile": lambda: (pp.SplineTransformer(n_knots=6, knots="quantile"), X, None, WIDE),
        "spline-knots": lambda: (pp.SplineTransformer(
            knots=np.quantile(X, [0.1, 0.3, 0.7, 0.95], axis=0), extrapolation="linear"), X, None, WIDE),
        "spline-fortran": lambda: (pp.SplineTransformer(order="F", extrapolation="continue"), X, None, WIDE),
        "spline-sparse": lambda: (pp.SplineTransformer(sparse_output=True), X, None, WIDE),
        "spline-inside": lambda: (pp.SplineTransformer(extrapolation="error"), X, None, X[:12]),
        "spline-missing": lambda: (pp.SplineTransformer(handle_missing="zeros"), HOLES, None),
        "spline-pipeline": lambda: (make_pipeline(pp.SplineTransformer(), lm.Ridge()), X, SCORE),
        "knn-imputer": lambda: (im.KNNImputer(n_neighbors=3), HOLES, None),
        "knn-imputer-distance": lambda: (im.KNNImputer(n_neighbors=4, weights="distance"), HOLES, None, HOLES[20:40]),
        "knn-imputer-indicator": lambda: (im.KNNImputer(add_indicator=True), HOLES, None),
        "knn-imputer-empty": lambda: (im.KNNImputer(), EMPTY, None),
        "knn-imputer-keep": lambda: (im.KNNImputer(keep_empty_features=True), EMPTY, None),
        "knn-imputer-number": lambda: (im.KNNImputer(missing_values=-1), HOLED, None),
        "knn-imputer-alone": lambda: (im.KNNImputer(), np.vstack([HOLES, [[np.nan] * 5]]), None,
                                      np.vstack([HOLES[:4], [[np.nan] * 5]])),
        "knn-imputer-pipeline": lambda: (make_pipeline(im.KNNImputer(), lm.LogisticRegression()), HOLES, NAMES),
        "rfe": lambda: (fs.RFE(lm.LogisticRegression(max_iter=300), n_features_to_select=2), X, NAMES),
        "rfe-reg": lambda: (fs.RFE(lm.Ridge(), step=2), X, SCORE),
        "rfe-pipeline": lambda: (make_pipeline(fs.RFE(lm.Ridge(), n_features_to_select=3), tr.DecisionTreeRegressor(max_depth=3)), X, SCORE),
        "rfecv": lambda: (fs.RFECV(tr.DecisionTreeClassifier(max_depth=3, random_state=0), cv=3), X, BINARY),
        "sequential": lambda: (make_pipeline(fs.SequentialFeatureSelector(
            lm.LinearRegression(), n_features_to_select=2, cv=3), lm.LinearRegression()), X, SCORE),
        "sequential-alone": lambda: (fs.SequentialFeatureSelector(
            lm.LinearRegression(), n_features_to_select=2, direction="backward", cv=3), X, SCORE),
        "model": lambda: (fs.SelectFromModel(lm.Ridge()), X, SCORE),
        "model-rows": lambda: (fs.SelectFromModel(lm.LogisticRegression(max_iter=300), norm_order=2), X, NAMES),
        "model-l1": lambda: (fs.SelectFromModel(lm.LogisticRegression(penalty="l1", solver="liblinear", C=0.05)), X, BINARY),
        "model-svc": lambda: (fs.SelectFromModel(svm.LinearSVC(penalty="l1", dual=False, C=0.03)), X, NAMES),
        "model-lasso": lambda: (fs.SelectFromModel(lm.Lasso(alpha=0.5)), X, SCORE),
        "model-tree": lambda: (fs.SelectFromModel(tr.DecisionTreeClassifier(max_depth=4, random_state=0)), X, NAMES),
        "model-forest": lambda: (fs.SelectFromModel(en.RandomForestClassifier(4, max_depth=4, random_state=0), threshold="median"),
                                 X, NAMES),
        "model-boosting": lambda: (fs.SelectFromModel(
            en.GradientBoostingRegressor(n_estimators=4, random_state=0), threshold="0.5*mean"), X, SCORE),
        "model-ada": lambda: (fs.SelectFromModel(en.AdaBoostRegressor(n_estimators=4, random_state=0)), X, SCORE),
        "model-most": lambda: (fs.SelectFromModel(lm.Ridge(), max_features=2, threshold=-np.inf), X, SCORE),
        "model-number": lambda: (fs.SelectFromModel(lm.Ridge(), threshold=0.4), X, SCORE),
        "model-before": lambda: (fs.SelectFromModel(lm.Ridge().fit(X, SCORE), prefit=True), X, SCORE),
        "model-pipeline": lambda: (make_pipeline(fs.SelectFromModel(lm.Ridge()), lm.LinearRegression()), X, SCORE),
        "random-gauss": lambda: (rp.GaussianRandomProjection(3, random_state=0), X, None),
        "random-sparse": lambda: (rp.SparseRandomProjection(4, random_state=0), X, None),
        "random-sparse-dense": lambda: (rp.SparseRandomProjection(3, density=0.9, dense_output=True, random_state=0), X, None),
        "ica": lambda: (de.FastICA(3, random_state=0, max_iter=500), SMALL, None),
        "ica-plain": lambda: (de.FastICA(whiten=False, random_state=0), SMALL, None),
        "factors": lambda: (de.FactorAnalysis(2), SMALL, None),
        "factors-rotated": lambda: (de.FactorAnalysis(3, rotation="varimax"), SMALL, None),
        "sparse-pca": lambda: (de.SparsePCA(3, random_state=0), SMALL, None),
        "sparse-pca-batch": lambda: (de.MiniBatchSparsePCA(2, alpha=0.5, ridge_alpha=0.1, random_state=0), SMALL, None),
        "rbf-sampler": lambda: (ka.RBFSampler(gamma=0.4, n_components=7, random_state=0), SMALL, None),
        "skewed": lambda: (ka.SkewedChi2Sampler(skewedness=0.3, n_components=6, random_state=0), POSITIVE, None),
        "additive": lambda: (ka.AdditiveChi2Sampler(), POSITIVE, None, np.vstack([POSITIVE[:8], np.zeros((1, 5))])),
        "additive-interval": lambda: (ka.AdditiveChi2Sampler(sample_steps=4, sample_interval=0.3), POSITIVE, None),
        "sketch": lambda: (ka.PolynomialCountSketch(gamma=0.5, n_components=8, random_state=0), SMALL, None),
        "sketch-bias": lambda: (ka.PolynomialCountSketch(degree=3, coef0=1, n_components=9, random_state=0), SMALL, None),
        "kernel-pipeline": lambda: (make_pipeline(ka.Nystroem(n_components=10, random_state=0), lm.LogisticRegression()), SMALL, NAMES),
        "kernel-pca-zero": lambda: (de.KernelPCA(remove_zero_eig=True), SMALL[:30], None),
    }
    for extrapolation in ("constant", "linear", "continue", "periodic"):
        for degree in (1, 2, 3, 4):
            out[f"spline-{extrapolation}-{degree}"] = lambda e=extrapolation, d=degree: (
                pp.SplineTransformer(n_knots=6, degree=d, extrapolation=e), X, None, WIDE)
    for kernel in ("linear", "poly", "rbf", "sigmoid", "cosine"):
        out[f"kernel-pca-{kernel}"] = lambda k=kernel: (de.KernelPCA(3, kernel=k, gamma=0.3, coef0=0.7), SMALL[:30], None)
    for kernel in ("linear", "poly", "rbf", "sigmoid", "laplacian", "cosine", "chi2", "additive_chi2"):
        out[f"nystroem-{kernel}"] = lambda k=kernel: (ka.Nystroem(kernel=k, n_components=6, random_state=0), POSITIVE, None)
    for mode, param in (("percentile", 60), ("k_best", 2), ("fpr", 0.3), ("fdr", 0.4), ("fwe", 0.4)):
        out[f"generic-{mode}"] = lambda m=mode, p=param: (fs.GenericUnivariateSelect(fs.f_classif, mode=m, param=p), X, THREE)
    return out
