"""Gradient boosting and AdaBoost."""

import numpy as np
from sklearn import ensemble as en, linear_model as lm, tree as tr

try:
    import sklearn.experimental.enable_hist_gradient_boosting  # noqa: F401  (before 1.0)
except ImportError:
    pass

from .data import BINARY, FOUR, HOLES, NAMES, POSITIVE, SCORE, THREE, X

CATEGORIES = np.column_stack([THREE * 2 + (X[:, 0] > 0), np.arange(len(X)) % 5, X[:, 1], X[:, 2]])
CATEGORIES[::9, 0] = np.nan
ASKED = np.vstack([CATEGORIES[:10], [[9, 2, 0.1, 0.2], [np.nan, np.nan, np.nan, 1], [1, 4, -1, np.nan]]])

FLOAT32 = {"gb-lr-init", "gb-lr-init-three", "gb-linear-init"}


def models():
    gb = dict(n_estimators=6, max_depth=3, random_state=0)
    out = {
        "gb-lr-init": lambda: (en.GradientBoostingClassifier(init=lm.LogisticRegression(C=0.01), **gb), X / 20, BINARY),
        "gb-lr-init-three": lambda: (en.GradientBoostingClassifier(init=lm.LogisticRegression(), **gb), X, NAMES),
        "gb-linear-init": lambda: (en.GradientBoostingRegressor(init=lm.LinearRegression(), **gb), X, SCORE),
        "gb-zero": lambda: (en.GradientBoostingClassifier(init="zero", **gb), X, NAMES),
        "gb-zero-reg": lambda: (en.GradientBoostingRegressor(init="zero", subsample=0.7, **gb), X, SCORE),
        "ada-reg": lambda: (en.AdaBoostRegressor(n_estimators=7, random_state=0), X, SCORE),
        "ada-reg-square": lambda: (en.AdaBoostRegressor(tr.DecisionTreeRegressor(max_depth=2), n_estimators=4,
                                                        loss="square", random_state=0), X, SCORE),
        "hist-categories": lambda: (en.HistGradientBoostingRegressor(
            max_iter=6, min_samples_leaf=3, categorical_features=[0, 1]), CATEGORIES, SCORE, ASKED),
        "hist-categories-mask": lambda: (en.HistGradientBoostingClassifier(
            max_iter=4, min_samples_leaf=3, categorical_features=[True, False, False, False]), CATEGORIES, NAMES, ASKED),
    }
    for loss in ("deviance", "log_loss", "exponential"):
        for kind, y in {"binary": BINARY, "names": NAMES, "four": FOUR}.items():
            if loss != "exponential" or kind == "binary":
                out[f"gb-{loss}-{kind}"] = lambda loss=loss, y=y: (en.GradientBoostingClassifier(loss=loss, **gb), X, y)
    for loss in ("ls", "squared_error", "lad", "absolute_error", "huber", "quantile"):
        out[f"gb-{loss}"] = lambda loss=loss: (en.GradientBoostingRegressor(loss=loss, learning_rate=0.3, **gb), X, SCORE)
    for kind, y in {"binary": BINARY, "names": NAMES, "four": FOUR}.items():
        out[f"hist-{kind}"] = lambda y=y: (en.HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=6), X, y)
        out[f"hist-missing-{kind}"] = lambda y=y: (
            en.HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5, learning_rate=0.4), HOLES, y)
        for algorithm in ("SAMME", "SAMME.R", None):
            k = {"algorithm": algorithm} if algorithm else {}
            out[f"ada-{algorithm}-{kind}"] = lambda y=y, k=k: (
                en.AdaBoostClassifier(n_estimators=6, random_state=0, **k), X, y)
            out[f"ada-deep-{algorithm}-{kind}"] = lambda y=y, k=k: (
                en.AdaBoostClassifier(tr.DecisionTreeClassifier(max_depth=2), n_estimators=3, random_state=0, **k), X, y)
    for loss in ("least_squares", "squared_error", "least_absolute_deviation", "absolute_error", "poisson", "gamma"):
        out[f"hist-{loss}"] = lambda loss=loss: (
            en.HistGradientBoostingRegressor(loss=loss, max_iter=6, min_samples_leaf=6), HOLES, POSITIVE)
    out["hist-quantile"] = lambda: (
        en.HistGradientBoostingRegressor(loss="quantile", quantile=0.8, max_iter=6, min_samples_leaf=6), X, SCORE)
    return out
