"""Transformers of numbers, and what is made of them."""

import numpy as np
from sklearn import compose as co, decomposition as de, feature_selection as fs, impute as im, preprocessing as pp
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union

from .data import BINARY, COUNTS, HOLES, NAMES, SCORE, THREE, TWO, X

POS = np.abs(X) + 0.5
HOLED = np.where(np.isnan(HOLES), -1, HOLES)
EMPTY = HOLES.copy()
EMPTY[:, 2] = np.nan
CODES = COUNTS[:, :3].astype(float)
SPARSE_CODES = np.where(CODES == 5, np.nan, CODES)


def models():
    out = {
        "minmax": lambda: (pp.MinMaxScaler((-1, 3)), X, None),
        "minmax-clip": lambda: (pp.MinMaxScaler(clip=True), X, None, X[:12] * 3),
        "minmax-missing": lambda: (pp.MinMaxScaler(), HOLES, None),
        "maxabs": lambda: (pp.MaxAbsScaler(), X, None),
        "robust": lambda: (pp.RobustScaler(quantile_range=(10, 80)), X, None),
        "robust-centre": lambda: (pp.RobustScaler(with_scaling=False), HOLES, None),
        "robust-scale": lambda: (pp.RobustScaler(with_centering=False, unit_variance=True), X, None),
        "standard-missing": lambda: (pp.StandardScaler(), HOLES, None),
        "binarizer": lambda: (pp.Binarizer(threshold=0.3), X, None),
        "poly": lambda: (pp.PolynomialFeatures(2), X, None),
        "poly-three": lambda: (pp.PolynomialFeatures(3, include_bias=False), X[:, :3], None),
        "poly-interactions": lambda: (pp.PolynomialFeatures(3, interaction_only=True), X[:, :4], None),
        "poly-range": lambda: (pp.PolynomialFeatures((2, 3)), X[:, :3], None),
        "power": lambda: (pp.PowerTransformer(), X, None),
        "power-plain": lambda: (pp.PowerTransformer(standardize=False), X, None),
        "power-box": lambda: (pp.PowerTransformer("box-cox"), POS, None),
        "power-missing": lambda: (pp.PowerTransformer(), HOLES, None),
        "quantile": lambda: (pp.QuantileTransformer(n_quantiles=20), X, None, X[:12] * 2),
        "quantile-normal": lambda: (pp.QuantileTransformer(n_quantiles=30, output_distribution="normal"), X, None, X[:12] * 2),
        "quantile-missing": lambda: (pp.QuantileTransformer(n_quantiles=10), HOLES, None),
        "imputer-constant": lambda: (im.SimpleImputer(strategy="constant", fill_value=-3.5), HOLES, None),
        "imputer-number": lambda: (im.SimpleImputer(missing_values=-1, strategy="mean"), HOLED, None),
        "imputer-indicator": lambda: (im.SimpleImputer(add_indicator=True), HOLES, None),
        "imputer-empty": lambda: (im.SimpleImputer(), EMPTY, None),
        "imputer-keep": lambda: (im.SimpleImputer(keep_empty_features=True), EMPTY, None),
        "indicator": lambda: (im.MissingIndicator(), HOLES, None),
        "indicator-all": lambda: (im.MissingIndicator(features="all", missing_values=-1), HOLED, None),
        "pca": lambda: (de.PCA(3), X, None), "pca-whiten": lambda: (de.PCA(whiten=True), X, None),
        "pca-incremental": lambda: (de.IncrementalPCA(2, batch_size=30), X, None),
        "svd": lambda: (de.TruncatedSVD(3, random_state=0), X, None),
        "kbest": lambda: (fs.SelectKBest(fs.f_classif, k=3), X, THREE),
        "kbest-all": lambda: (fs.SelectKBest(k="all"), X, THREE),
        "percentile": lambda: (fs.SelectPercentile(fs.f_regression, percentile=50), X, SCORE),
        "fpr": lambda: (fs.SelectFpr(fs.f_regression, alpha=0.2), X, SCORE),
        "fdr": lambda: (fs.SelectFdr(fs.f_regression, alpha=0.3), X, SCORE),
        "fwe": lambda: (fs.SelectFwe(fs.f_regression, alpha=0.3), X, SCORE),
        "mutual": lambda: (fs.SelectKBest(fs.mutual_info_classif, k=2), X, THREE),
        "chi2": lambda: (fs.SelectKBest(fs.chi2, k=2), COUNTS, THREE),
        "variance": lambda: (fs.VarianceThreshold(0.5), X, None),
        "function-none": lambda: (make_pipeline(pp.FunctionTransformer(), pp.MaxAbsScaler()), X, None),
        "ordinal": lambda: (pp.OrdinalEncoder(), CODES, None, CODES[:9]),
        "ordinal-unknown": lambda: (pp.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-2), CODES, None,
                                    CODES[:8] * 2),
        "ordinal-missing": lambda: (pp.OrdinalEncoder(), SPARSE_CODES, None, SPARSE_CODES[:9]),
        "ordinal-missing-code": lambda: (pp.OrdinalEncoder(encoded_missing_value=-7), SPARSE_CODES, None, SPARSE_CODES[:9]),
        "onehot": lambda: (pp.OneHotEncoder(), CODES, None, CODES[:9]),
        "onehot-ignore": lambda: (pp.OneHotEncoder(handle_unknown="ignore"), CODES, None, CODES[:8] * 2),
        "onehot-drop": lambda: (pp.OneHotEncoder(drop="first"), CODES, None, CODES[:9]),
        "onehot-missing": lambda: (pp.OneHotEncoder(), SPARSE_CODES, None, SPARSE_CODES[:9]),
        "columns": lambda: (co.ColumnTransformer([
            ("a", pp.StandardScaler(), [1, 3]), ("b", "passthrough", slice(0, 1)), ("c", "drop", [2]),
            ("d", pp.MinMaxScaler(), [False, False, False, False, True])]), X, None),
        "columns-remainder": lambda: (co.ColumnTransformer([
            ("a", pp.StandardScaler(), slice(-2, None)), ("b", de.PCA(1), np.array([0, 2]))],
            remainder="passthrough", transformer_weights={"a": 2.5}), X, None),
        "columns-remainder-scaled": lambda: (co.ColumnTransformer(
            [("a", pp.StandardScaler(), [4])], remainder=pp.RobustScaler()), X, None),
        "union": lambda: (make_union(pp.StandardScaler(), de.PCA(2)), X, None),
        "union-weights": lambda: (FeatureUnion([("a", pp.StandardScaler()), ("b", "drop"), ("c", de.PCA(2))],
                                               transformer_weights={"c": 3}), X, None),
        "target": lambda: (co.TransformedTargetRegressor(Ridge(), transformer=pp.StandardScaler()), X, SCORE),
        "target-minmax": lambda: (co.TransformedTargetRegressor(Ridge(), transformer=pp.MinMaxScaler()), X, TWO),
        "target-log": lambda: (co.TransformedTargetRegressor(
            LinearRegression(), func=np.log1p, inverse_func=np.expm1), X, np.abs(SCORE)),
        "target-plain": lambda: (co.TransformedTargetRegressor(LinearRegression()), X, SCORE),
        "grid": lambda: (GridSearchCV(make_pipeline(pp.StandardScaler(), LogisticRegression()),
                                      {"logisticregression__C": [0.1, 1]}, cv=3), X, NAMES),
        "grid-forest": lambda: (GridSearchCV(RandomForestClassifier(3, random_state=0), {"max_depth": [2, 3]}, cv=2,
                                             scoring="f1_macro"), X, BINARY),
        "random-search": lambda: (RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1, 10]}, n_iter=2, cv=3, random_state=0), X, SCORE),
        "imputed-pipeline": lambda: (make_pipeline(im.SimpleImputer(), pp.StandardScaler(), LogisticRegression()), HOLES, NAMES),
        "columns-pipeline": lambda: (make_pipeline(
            co.make_column_transformer((make_pipeline(im.SimpleImputer(), pp.StandardScaler()), [0, 1, 3]),
                                       (pp.PolynomialFeatures(2), [2, 4])), Ridge()),
            np.where([True, True, False, True, False], HOLES, X), SCORE),
    }
    for norm in ("l1", "l2", "max"):
        out[f"normalizer-{norm}"] = lambda norm=norm: (pp.Normalizer(norm), X, None, np.vstack([X[:8], np.zeros((1, 5))]))
    for strategy in ("mean", "median", "most_frequent"):
        out[f"imputer-{strategy}"] = lambda s=strategy: (im.SimpleImputer(strategy=s), HOLES, None)
    for encode in ("ordinal", "onehot", "onehot-dense"):
        for strategy in ("uniform", "quantile", "kmeans"):
            out[f"bins-{encode}-{strategy}"] = lambda e=encode, s=strategy: (
                pp.KBinsDiscretizer([3, 4, 5, 2, 3], encode=e, strategy=s), X, None, X[:12] * 1.5)
    for name in ("log1p", "sqrt", "exp", "square", "tanh", "cbrt", "log", "abs"):
        out[f"function-{name}"] = lambda name=name: (
            make_pipeline(pp.MinMaxScaler((0.1, 0.9)), pp.FunctionTransformer(getattr(np, name))), POS, None)
    return out
