"""Trees, forests and isolation forests."""

import numpy as np
from sklearn import ensemble as en, tree as tr

from .data import BINARY, FOUR, HOLES, NAMES, PAIRS, SCORE, THREE, TWO, X


def models():
    out = {
        "tree-missing": lambda: (tr.DecisionTreeClassifier(max_depth=5, random_state=0), HOLES, THREE),
        "tree-missing-reg": lambda: (tr.DecisionTreeRegressor(max_depth=5, random_state=0), HOLES, SCORE),
        "tree-asked-missing": lambda: (tr.DecisionTreeRegressor(max_depth=5, random_state=0), X, SCORE, HOLES[:15]),
        "forest-missing": lambda: (en.RandomForestClassifier(4, max_depth=5, random_state=0), HOLES, NAMES),
        "forest-missing-reg": lambda: (en.RandomForestRegressor(4, max_depth=5, random_state=0), HOLES, TWO),
        "extra-missing": lambda: (en.ExtraTreesClassifier(4, max_depth=5, random_state=0), HOLES, NAMES),
        "tree-random": lambda: (tr.DecisionTreeClassifier(splitter="random", max_depth=4, random_state=0), X, NAMES),
        "tree-monotonic": lambda: (tr.DecisionTreeRegressor(monotonic_cst=[1, 0, 1, 0, 0], max_depth=4), X, SCORE),
        "tree-pairs": lambda: (tr.DecisionTreeClassifier(max_depth=4, random_state=0), X, PAIRS),
        "tree-pairs-text": lambda: (tr.DecisionTreeClassifier(max_depth=3), X, np.column_stack([NAMES, NAMES[::-1]])),
        "tree-pairs-equal": lambda: (tr.DecisionTreeClassifier(max_depth=3), X, np.column_stack([BINARY, 1 - BINARY])),
        "forest-pairs": lambda: (en.RandomForestClassifier(3, max_depth=4, random_state=0), X, PAIRS),
        "extra-pairs": lambda: (en.ExtraTreesClassifier(3, max_depth=4, random_state=0), X, PAIRS),
        "tree-one-class": lambda: (tr.DecisionTreeClassifier(), X, np.ones(len(X), int)),
        "isolation": lambda: (en.IsolationForest(n_estimators=9, max_samples=40, random_state=0), X, None),
        "isolation-features": lambda: (en.IsolationForest(n_estimators=9, max_features=3, contamination=0.2, random_state=0), X, None),
    }
    for criterion in ("gini", "entropy", "log_loss"):
        out[f"tree-{criterion}"] = lambda c=criterion: (tr.DecisionTreeClassifier(criterion=c, max_depth=4), X, NAMES)
        out[f"extra-{criterion}"] = lambda c=criterion: (en.ExtraTreesClassifier(3, criterion=c, max_depth=4), X, FOUR)
    for criterion in ("mse", "squared_error", "friedman_mse", "absolute_error", "poisson"):
        y = np.abs(SCORE)
        out[f"tree-{criterion}"] = lambda c=criterion: (tr.DecisionTreeRegressor(criterion=c, max_depth=4), X, y)
        out[f"forest-{criterion}"] = lambda c=criterion: (en.RandomForestRegressor(3, criterion=c, max_depth=4), X, y)
    out["extratree"] = lambda: (tr.ExtraTreeClassifier(max_depth=4, random_state=0), X, NAMES)
    out["extratree-reg"] = lambda: (tr.ExtraTreeRegressor(max_depth=4, random_state=0), X, SCORE)
    out["extratrees-reg"] = lambda: (en.ExtraTreesRegressor(4, max_depth=4, random_state=0), X, TWO)
    out["forest-oob"] = lambda: (en.RandomForestClassifier(12, max_depth=2, oob_score=True, random_state=3), X, BINARY)
    return out
