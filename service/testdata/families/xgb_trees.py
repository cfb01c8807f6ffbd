"""XGBoost: kinds of trees, and random hyper-parameters."""

import numpy as np
import xgboost as xgb

from .data import BINARY, HOLES, RNG, SCORE, THREE, TWO, X
from .frames import FRAME, KNOWN
from .xgb import ASKED, FLOAT32, LIBRARY, SMALL, VERSION, fitted  # noqa: F401

TYPES = ["c", "c", "q", "q"]
CATEGORIES = np.column_stack([THREE * 2 + (X[:, 0] > 0), np.arange(len(X)) % 7, X[:, 1], HOLES[:, 2]])
CATEGORIES[::9, 0] = np.nan
ASKED_CATEGORIES = np.vstack([CATEGORIES[:14], [[9, 2, 0.1, 0.2], [np.nan, np.nan, np.nan, 1], [1, 4, -1, np.nan]]])


def stopped(model, x, y):
    """A model that stopped early, so that its best iteration is not its last."""
    early, now = dict(early_stopping_rounds=3), dict(verbose=False)
    if xgb.__version__ < "1.6":
        now.update(early)
    else:
        model.set_params(**early)
    return fitted(model, x[:60], y[:60], eval_set=[(x[60:], y[60:])], **now)


def called_back():
    """A model that keeps a callback which stopped it."""
    callbacks = [xgb.callback.EarlyStopping(rounds=3), xgb.callback.EvaluationMonitor(period=99)]
    model = xgb.XGBRegressor(n_estimators=60, learning_rate=1, n_jobs=1, callbacks=callbacks)
    return fitted(model, HOLES[:60], SCORE[:60], eval_set=[(HOLES[60:], SCORE[60:])], verbose=False)


def framed(model, y):
    """A model of a table with categories, which XGBoost keeps since 3.1."""
    if xgb.__version__ < "3.1":
        raise ValueError("no categories")
    return model.set_params(enable_categorical=True, max_cat_to_onehot=1), FRAME, y, KNOWN


def drawn(rng):
    """A model with random hyper-parameters."""
    params = dict(
        n_estimators=int(rng.randint(1, 5)), learning_rate=float(rng.choice([0.05, 0.3, 1])), max_depth=int(rng.randint(1, 6)),
        min_child_weight=float(rng.choice([0, 1, 5])), subsample=float(rng.choice([0.6, 1])), gamma=float(rng.choice([0, 0.2])),
        colsample_bytree=float(rng.choice([0.5, 1])), reg_lambda=float(rng.choice([0, 1, 10])), n_jobs=1,
        tree_method=str(rng.choice(["exact", "approx", "hist"])), num_parallel_tree=int(rng.choice([1, 1, 3])),
        random_state=int(rng.randint(1000)),
    )
    if rng.uniform() < 0.3 and params["tree_method"] != "exact":
        params.update(grow_policy="lossguide", max_depth=0, max_leaves=int(rng.randint(2, 12)))
    if rng.uniform() < 0.3:
        params.update(booster="dart", rate_drop=0.4)
    if rng.uniform() < 0.3:
        params["base_score"] = 0.3
    x = HOLES if rng.uniform() < 0.6 else X
    kind = rng.randint(3)
    if kind == 0:
        return xgb.XGBRegressor(**params), x, SCORE, ASKED
    return xgb.XGBClassifier(**params), x, BINARY if kind == 1 else THREE, ASKED


def models():
    binary, three, reg = xgb.XGBClassifier, xgb.XGBClassifier, xgb.XGBRegressor
    out = {
        "two-outputs": lambda: (reg(tree_method="hist", **SMALL), HOLES, TWO, ASKED),
        "vector-leaves": lambda: (reg(tree_method="hist", multi_strategy="multi_output_tree", **SMALL), HOLES, TWO, ASKED),
        "vector-three": lambda: (three(tree_method="hist", multi_strategy="multi_output_tree", **SMALL), HOLES, THREE, ASKED),
        "forest": lambda: (xgb.XGBRFClassifier(n_estimators=7, max_depth=4, n_jobs=1), HOLES, BINARY, ASKED),
        "forest-three": lambda: (xgb.XGBRFClassifier(n_estimators=5, max_depth=4, n_jobs=1), HOLES, THREE, ASKED),
        "forest-reg": lambda: (xgb.XGBRFRegressor(n_estimators=7, max_depth=4, n_jobs=1), HOLES, SCORE, ASKED),
        "stopped": lambda: stopped(reg(n_estimators=60, learning_rate=1, n_jobs=1), HOLES, SCORE),
        "stopped-three": lambda: stopped(three(n_estimators=60, learning_rate=1, n_jobs=1, num_parallel_tree=2), HOLES, THREE),
        "stopped-dart": lambda: stopped(
            reg(n_estimators=40, learning_rate=1, n_jobs=1, booster="dart", rate_drop=0.3), HOLES, SCORE),
        "stopped-callback": called_back,
        "categories-one-hot": lambda: (
            reg(tree_method="hist", enable_categorical=True, feature_types=TYPES, max_cat_to_onehot=50, **SMALL), CATEGORIES,
            SCORE, ASKED_CATEGORIES),
        "categories-sets": lambda: (
            binary(tree_method="hist", enable_categorical=True, feature_types=TYPES, max_cat_to_onehot=1, **SMALL), CATEGORIES,
            BINARY, ASKED_CATEGORIES),
        "categories-three": lambda: (
            three(tree_method="approx", enable_categorical=True, feature_types=TYPES, max_cat_to_onehot=1, **SMALL), CATEGORIES,
            THREE, ASKED_CATEGORIES),
        "frame": lambda: framed(reg(**SMALL), SCORE),
        "frame-three": lambda: framed(three(**SMALL), THREE),
    }
    for i in range(14):
        seed = int(RNG.randint(1 << 30))
        out[f"drawn-{i}"] = lambda seed=seed: drawn(np.random.RandomState(seed))
    return out
