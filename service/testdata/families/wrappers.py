"""Chains, several labels, thresholds, and what answers as the estimator within it."""

import numpy as np
from sklearn import ensemble as en, linear_model as lm, multiclass as mc, multioutput as mo, svm, tree as tr
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

try:
    from sklearn import frozen
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
except ImportError:
    frozen = None
    try:
        from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    except ImportError:  # before 1.5
        FixedThresholdClassifier = TunedThresholdClassifierCV = None

from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, HalvingRandomSearchCV

from .data import BINARY, FOUR, NAMES, PAIRS, SCORE, THREE, TWO, X

LABELS = np.column_stack([BINARY, (THREE == 1).astype(int), (FOUR > 11).astype(int)])
YES_NO = np.array(["no", "yes"])[BINARY]


def logistic():
    return make_pipeline(StandardScaler(), lm.LogisticRegression())


def models():
    out = {
        "chain-reg": lambda: (mo.RegressorChain(lm.Ridge()), X, TWO),
        "chain-reg-order": lambda: (mo.RegressorChain(tr.DecisionTreeRegressor(max_depth=3), order=[1, 0]), X, TWO),
        "chain-reg-random": lambda: (mo.RegressorChain(lm.Ridge(), order="random", cv=3, random_state=1), X, TWO),
        "chain": lambda: (mo.ClassifierChain(lm.LogisticRegression(max_iter=300)), X, LABELS),
        "chain-order": lambda: (mo.ClassifierChain(lm.LogisticRegression(max_iter=300), order=[2, 0, 1]), X, LABELS),
        "chain-svc": lambda: (mo.ClassifierChain(svm.LinearSVC(max_iter=5000), order="random", random_state=2), X, LABELS),
        "chain-tree": lambda: (mo.ClassifierChain(tr.DecisionTreeClassifier(max_depth=3), cv=3), X, LABELS),
        "chain-proba": lambda: (mo.ClassifierChain(lm.LogisticRegression(max_iter=300), chain_method="predict_proba"), X, LABELS),
        "chain-decision": lambda: (mo.ClassifierChain(
            lm.LogisticRegression(max_iter=300), chain_method="decision_function"), X, LABELS),
        "labels": lambda: (mc.OneVsRestClassifier(lm.LogisticRegression(max_iter=300)), X, LABELS),
        "labels-svc": lambda: (mc.OneVsRestClassifier(svm.LinearSVC(max_iter=5000)), X, LABELS),
        "labels-tree": lambda: (mc.OneVsRestClassifier(tr.DecisionTreeClassifier(max_depth=3)), X, LABELS),
        "labels-empty": lambda: (mc.OneVsRestClassifier(lm.LogisticRegression(max_iter=300)), X,
                                 np.column_stack([BINARY, np.zeros_like(BINARY), np.ones_like(BINARY)])),
        "multi-ridge": lambda: (mo.MultiOutputClassifier(lm.RidgeClassifier()), X, PAIRS),
        "multi-forest": lambda: (mo.MultiOutputClassifier(en.RandomForestClassifier(3, max_depth=3, random_state=0)), X, PAIRS),
        "multi-reg-tree": lambda: (mo.MultiOutputRegressor(tr.DecisionTreeRegressor(max_depth=3)), X, TWO),
        "fixed": lambda: (FixedThresholdClassifier(logistic(), threshold=0.3), X, BINARY),
        "fixed-first": lambda: (FixedThresholdClassifier(logistic(), threshold=0.7, pos_label="no"), X, YES_NO),
        "fixed-decision": lambda: (FixedThresholdClassifier(svm.LinearSVC(max_iter=5000), threshold=0.4), X, BINARY),
        "fixed-decision-first": lambda: (FixedThresholdClassifier(
            lm.RidgeClassifier(), threshold=-0.2, pos_label="no"), X, YES_NO),
        "fixed-auto": lambda: (FixedThresholdClassifier(logistic()), X, YES_NO),
        "tuned": lambda: (TunedThresholdClassifierCV(logistic(), cv=3), X, YES_NO),
        "tuned-f1": lambda: (TunedThresholdClassifierCV(logistic(), scoring="f1", cv=3), X, BINARY),
        "tuned-decision": lambda: (TunedThresholdClassifierCV(
            lm.RidgeClassifier(), response_method="decision_function", cv=3), X, BINARY),
        "frozen": lambda: (frozen.FrozenEstimator(logistic().fit(X, NAMES)), X, NAMES),
        "frozen-scaler": lambda: (make_pipeline(frozen.FrozenEstimator(StandardScaler().fit(X)), lm.Ridge()), X, SCORE),
        "halving": lambda: (HalvingGridSearchCV(lm.LogisticRegression(max_iter=300), {"C": [0.1, 1, 10]}, cv=2, random_state=0), X, BINARY),
        "halving-random": lambda: (HalvingRandomSearchCV(
            lm.Ridge(), {"alpha": [0.1, 1, 10, 100]}, n_candidates=3, cv=2, random_state=0), X, SCORE),
        "grid-multi": lambda: (GridSearchCV(lm.Ridge(), {"alpha": [0.1, 1]}, cv=3, scoring=["r2", "neg_mean_squared_error"],
                                            refit="r2"), X, SCORE),
        "random-forest": lambda: (RandomizedSearchCV(en.RandomForestRegressor(3, random_state=0), {"max_depth": [2, 3, 4]},
                                                     n_iter=2, cv=2, random_state=0), X, SCORE),
    }
    return out
