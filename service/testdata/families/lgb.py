"""LightGBM: its scikit-learn wrappers and plain boosters."""

import lightgbm as lgb
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import BINARY, FOUR, HOLES, NAMES, POSITIVE, RNG, SCORE, THREE, X
from .frames import FRAME, KNOWN, UNKNOWN

LIBRARY, VERSION = "lightgbm", lgb.__version__
SMALL = dict(n_estimators=4, num_leaves=7, min_child_samples=4, n_jobs=1, verbose=-1)
COUNTS = np.round(POSITIVE * 3)
UNIT = 1 / (1 + np.exp(-SCORE))
ASKED = np.vstack([X[:10], HOLES[20:30], X[:3] * 1.25, np.full((1, X.shape[1]), np.nan), np.zeros((1, X.shape[1]))])
SPARSE = np.where(np.abs(X) < 1, 0, HOLES)
ASKED_SPARSE = np.vstack([SPARSE[:20], np.full((1, X.shape[1]), 1e-36), np.full((1, X.shape[1]), -1e-36), ASKED[-2:]])
CATEGORIES = np.column_stack([THREE * 2 + (X[:, 0] > 0), (np.arange(len(X)) * 13) % 71, X[:, 1], HOLES[:, 2]])
CATEGORIES[::9, 0] = np.nan
ASKED_CATEGORIES = np.vstack([
    CATEGORIES[:14], [[9, 2, 0.1, 0.2], [np.nan, np.nan, np.nan, 1], [-1, -0.5, -1, np.nan], [3.7, 1e6, 0, 0], [0, 3e9, 1, 1]],
])

OBJECTIVES = {
    "regression": SCORE, "regression_l1": SCORE, "huber": SCORE, "fair": SCORE, "poisson": COUNTS, "quantile": SCORE,
    "mape": POSITIVE, "gamma": POSITIVE, "tweedie": POSITIVE, "cross_entropy": UNIT, "cross_entropy_lambda": UNIT,
}


def fitted(model, x, y, rows=None, **kwargs):
    """Fits, for what takes more than x and y; returns what models() wants."""
    return model.fit(x, y, **kwargs), None, None, ASKED if rows is None else rows


def stopped(model, x, y):
    """A model that stopped early, so that its best iteration is not its last."""
    return fitted(model, x[:60], y[:60], eval_set=[(x[60:], y[60:])], callbacks=[lgb.early_stopping(3, verbose=False)])


def booster(params, y, x=HOLES, rounds=4, **kwargs):
    params = {"num_threads": 1, "verbose": -1, "num_leaves": 7, "min_data_in_leaf": 4, **params}
    return lgb.train(params, lgb.Dataset(x, label=y, **kwargs), rounds), None, None, ASKED


def categorical(kind, y, columns=(0, 1), **kwargs):
    model = kind(min_data_per_group=3, cat_smooth=1, **{**SMALL, "max_cat_to_onehot": 1, **kwargs})
    return fitted(model, CATEGORIES, y, ASKED_CATEGORIES, categorical_feature=list(columns))


def drawn(rng):
    """A model with random hyper-parameters."""
    params = dict(
        n_estimators=int(rng.randint(1, 8)), learning_rate=float(rng.choice([0.05, 0.3, 1])), verbose=-1, n_jobs=1,
        num_leaves=int(rng.randint(2, 16)), max_depth=int(rng.choice([-1, 2, 4])), min_child_samples=int(rng.randint(1, 9)),
        reg_lambda=float(rng.choice([0, 1])), colsample_bytree=float(rng.choice([0.5, 1])), max_bin=int(rng.choice([8, 255])),
        boosting_type=str(rng.choice(["gbdt", "gbdt", "dart", "rf"])), random_state=int(rng.randint(1000)),
        use_missing=bool(rng.uniform() < 0.8), zero_as_missing=bool(rng.uniform() < 0.3),
        boost_from_average=bool(rng.uniform() < 0.7), extra_trees=bool(rng.uniform() < 0.2),
    )
    if params["boosting_type"] == "rf" or rng.uniform() < 0.3:
        params.update(subsample=0.7, subsample_freq=1)
    x, rows = (SPARSE, ASKED_SPARSE) if rng.uniform() < 0.5 else (X, ASKED)
    kind = rng.randint(3)
    if kind == 0:
        return lgb.LGBMRegressor(**params), x, SCORE, rows
    return lgb.LGBMClassifier(**params), x, BINARY if kind == 1 else NAMES, rows


def models():
    cla, reg = lgb.LGBMClassifier, lgb.LGBMRegressor
    out = {
        "binary": lambda: (cla(**SMALL), X, BINARY, ASKED),
        "binary-names": lambda: (cla(**SMALL), HOLES, NAMES == "rose", ASKED),
        "binary-sigmoid": lambda: (cla(sigmoid=1.7, **SMALL), HOLES, BINARY, ASKED),
        "names": lambda: (cla(**SMALL), HOLES, NAMES, ASKED),
        "four": lambda: (cla(**SMALL), HOLES, FOUR, ASKED),
        "one-against-all": lambda: (cla(objective="multiclassova", sigmoid=0.8, **SMALL), HOLES, NAMES, ASKED),
        "cross-entropy-classes": lambda: (cla(objective="cross_entropy", **SMALL), HOLES, BINARY, ASKED),
        "dart": lambda: (reg(boosting_type="dart", drop_rate=0.5, **SMALL), HOLES, SCORE, ASKED),
        "forest": lambda: (reg(boosting_type="rf", subsample=0.7, subsample_freq=1, **SMALL), HOLES, SCORE, ASKED),
        "forest-names": lambda: (cla(boosting_type="rf", subsample=0.7, subsample_freq=1, **SMALL), HOLES, NAMES, ASKED),
        "root": lambda: (reg(reg_sqrt=True, **SMALL), HOLES, SCORE, ASKED),
        "stump": lambda: (reg(**{**SMALL, "num_leaves": 2}), HOLES, SCORE, ASKED),
        "constant": lambda: (reg(**{**SMALL, "min_child_samples": 80}), HOLES, SCORE, ASKED),
        "no-missing": lambda: (reg(use_missing=False, **SMALL), HOLES, SCORE, ASKED),
        "zero-is-missing": lambda: (reg(zero_as_missing=True, **SMALL), SPARSE, SCORE, ASKED_SPARSE),
        "zero-is-missing-names": lambda: (cla(zero_as_missing=True, **SMALL), SPARSE, NAMES, ASKED_SPARSE),
        "sparse": lambda: (reg(**SMALL), SPARSE, SCORE, ASKED_SPARSE),
        "stopped": lambda: stopped(reg(**{**SMALL, "n_estimators": 60, "learning_rate": 0.9}), HOLES, SCORE),
        "stopped-names": lambda: stopped(cla(**{**SMALL, "n_estimators": 40, "learning_rate": 0.9}), HOLES, NAMES),
        "ranker": lambda: fitted(lgb.LGBMRanker(**SMALL), HOLES, THREE, group=[10] * 9),
        "ranker-xendcg": lambda: fitted(lgb.LGBMRanker(objective="rank_xendcg", **SMALL), HOLES, THREE, group=[10] * 9),
        "categories": lambda: categorical(reg, SCORE),
        "categories-one-hot": lambda: categorical(reg, SCORE, max_cat_to_onehot=100),
        "categories-names": lambda: categorical(cla, NAMES),
        "categories-zero": lambda: categorical(reg, SCORE, zero_as_missing=True),
        "categories-no-missing": lambda: categorical(reg, SCORE, use_missing=False),
        "frame": lambda: (reg(min_data_per_group=3, cat_smooth=1, **SMALL), FRAME, SCORE, KNOWN),
        "frame-unknown": lambda: (cla(max_cat_to_onehot=1, min_data_per_group=3, **SMALL), FRAME, BINARY, UNKNOWN),
        "linear-trees": lambda: (reg(linear_tree=True, **SMALL), HOLES, SCORE, ASKED),
        "linear-trees-names": lambda: (cla(linear_tree=True, **SMALL), HOLES, NAMES, ASKED),
        "booster": lambda: booster({"objective": "binary"}, BINARY),
        "booster-three": lambda: booster({"objective": "multiclass", "num_class": 3}, THREE),
        "booster-columns": lambda: booster({}, SCORE, feature_name=["length", "width", "depth", "weight", "age"]),
        "pipeline": lambda: (make_pipeline(StandardScaler(), cla(**SMALL)), X, NAMES, X[:12]),
        "grid": lambda: (GridSearchCV(reg(**SMALL), {"num_leaves": [4, 7]}, cv=2), HOLES, SCORE, ASKED),
        "voting": lambda: (VotingClassifier([("g", cla(**SMALL)), ("l", LogisticRegression())], voting="soft"), X, NAMES, X[:12]),
        "calibrated": lambda: (CalibratedClassifierCV(cla(**SMALL), cv=2), HOLES, BINARY, ASKED),
    }
    for name, y in OBJECTIVES.items():
        out[name] = lambda name=name, y=y: (reg(objective=name, **SMALL), HOLES, y, ASKED)
    for i in range(11):
        seed = int(RNG.randint(1 << 30))
        out[f"drawn-{i}"] = lambda seed=seed: drawn(np.random.RandomState(seed))
    return out
