"""XGBoost: its scikit-learn wrappers and plain boosters."""

import pickle

import joblib
import numpy as np
import xgboost as xgb
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import BINARY, HOLES, NAMES, POSITIVE, SCORE, THREE, X

LIBRARY, VERSION = "xgboost", xgb.__version__
FLOAT32 = True  # XGBoost computes in 32 bits
SMALL = dict(n_estimators=3, max_depth=3, n_jobs=1)
COUNTS = np.round(POSITIVE * 3)
UNIT = 1 / (1 + np.exp(-SCORE))
ASKED = np.vstack([X[:12], HOLES[20:32], X[:3] * 1.25, np.full((1, X.shape[1]), np.nan), np.zeros((1, X.shape[1]))])

OBJECTIVES = {
    "reg:squarederror": SCORE, "reg:squaredlogerror": POSITIVE, "reg:logistic": UNIT, "reg:pseudohubererror": SCORE,
    "reg:absoluteerror": SCORE, "count:poisson": COUNTS, "reg:gamma": POSITIVE, "reg:tweedie": POSITIVE,
    "survival:cox": POSITIVE, "binary:hinge": BINARY, "binary:logitraw": BINARY,
}


def fitted(model, x, y, rows=None, **kwargs):
    """Fits, for what takes more than x and y; returns what models() wants."""
    return model.fit(x, y, **kwargs), None, None, ASKED if rows is None else rows


def booster(params, y, rounds=3, **kwargs):
    return xgb.train({"nthread": 1, **params}, xgb.DMatrix(HOLES, label=y, **kwargs), rounds), None, None, ASKED


def survival():
    data = xgb.DMatrix(HOLES)
    data.set_float_info("label_lower_bound", POSITIVE)
    data.set_float_info("label_upper_bound", POSITIVE * 1.5)
    return xgb.train({"nthread": 1, "objective": "survival:aft", "max_depth": 3}, data, 3), None, None, ASKED


def ranked():
    group = dict(qid=np.repeat(np.arange(9), 10))
    if xgb.__version__ < "1.5":
        group = dict(group=[10] * 9)
    return fitted(xgb.XGBRanker(objective="rank:ndcg", **SMALL), HOLES, THREE, **group)


def models():
    binary, three, reg = xgb.XGBClassifier, xgb.XGBClassifier, xgb.XGBRegressor
    out = {
        "binary": lambda: (binary(**SMALL), X, BINARY, ASKED),
        "binary-missing": lambda: (binary(**SMALL), HOLES, BINARY, ASKED),
        "binary-base": lambda: (binary(base_score=0.2, **SMALL), HOLES, BINARY, ASKED),
        "three": lambda: (three(**SMALL), HOLES, THREE, ASKED),
        "softmax": lambda: (three(objective="multi:softmax", **SMALL), HOLES, THREE, ASKED),
        "many-labels": lambda: (binary(tree_method="hist", **SMALL), HOLES, np.column_stack([BINARY, THREE == 1, THREE == 2]),
                                ASKED),
        "zero-is-missing": lambda: (reg(missing=0.0, **SMALL), np.round(X), SCORE, np.round(ASKED)),
        "minus-is-missing": lambda: (binary(missing=-999.0, **SMALL), np.nan_to_num(HOLES, nan=-999), BINARY,
                                     np.nan_to_num(ASKED, nan=-999)),
        "linear": lambda: (reg(booster="gblinear", n_estimators=9, n_jobs=1), X, SCORE, X[:12]),
        "linear-three": lambda: (three(booster="gblinear", n_estimators=9, n_jobs=1), X, THREE, X[:12]),
        "quantiles": lambda: (reg(objective="reg:quantileerror", quantile_alpha=np.array([0.2, 0.5, 0.8]), **SMALL), HOLES,
                              SCORE, ASKED),
        "ranker": ranked,
        "names": lambda: (binary(use_label_encoder=True, **SMALL), X, NAMES, ASKED),
        "booster": lambda: booster({"objective": "binary:logistic", "max_depth": 3}, BINARY),
        "booster-three": lambda: booster({"objective": "multi:softprob", "num_class": 3, "max_depth": 3}, THREE),
        "booster-class": lambda: booster({"objective": "multi:softmax", "num_class": 3, "max_depth": 3}, THREE),
        "booster-dart": lambda: booster({"booster": "dart", "rate_drop": 0.5, "objective": "count:poisson"}, COUNTS),
        "booster-columns": lambda: booster({"max_depth": 3}, SCORE, feature_names=["length", "width", "depth", "weight", "age"]),
        "booster-survival": survival,
        "pipeline": lambda: (make_pipeline(StandardScaler(), three(**SMALL)), X, THREE, X[:12]),
        "grid": lambda: (GridSearchCV(reg(**SMALL), {"max_depth": [2, 3]}, cv=2), HOLES, SCORE, ASKED),
        "voting": lambda: (VotingClassifier([("x", binary(**SMALL)), ("l", LogisticRegression())], voting="soft"), X, BINARY,
                           X[:12]),
        "calibrated": lambda: (CalibratedClassifierCV(binary(**SMALL), cv=2), HOLES, BINARY, ASKED),
    }
    for name, y in OBJECTIVES.items():
        kind = binary if name.startswith("binary") else reg
        out[name.replace(":", "-")] = lambda name=name, y=y, kind=kind: (kind(objective=name, **SMALL), HOLES, y, ASKED)
    return out


def extra(save):
    """The ways to write one: a booster keeps its model in a bytearray, which protocols have differently."""
    model = xgb.XGBClassifier(**SMALL).fit(HOLES, BINARY)
    for p in (0, 2, 3, 5):
        save(f"protocol-{p}", model, ASKED, lambda path, p=p: path.write_bytes(pickle.dumps(model, protocol=p)), float32=True)
    for method in ("plain", "zlib"):
        compress = 0 if method == "plain" else (method, 3)
        save(f"joblib-{method}", model, ASKED, lambda path, c=compress: joblib.dump(model, path, compress=c), "joblib", float32=True)
