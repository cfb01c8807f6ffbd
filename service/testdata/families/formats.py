"""File formats: compressions, pickle protocols, and the kinds of arrays that an attribute may be."""

import pickle

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import BINARY, NAMES, SCORE, THREE, TWO, X

KINDS = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i2", ">i4", "<i8", ">i8", "i1", "u1", ">u4", "?"]


def linear(kind, order):
    model = LinearRegression().fit(X, TWO)
    if np.dtype(kind).kind in "iub":
        coef = np.abs(np.round(model.coef_ * 3))
    else:
        coef = model.coef_
    model.coef_ = np.array(coef.astype(kind), order=order)
    return model, None, None, X[:12]


def labels(values):
    return LogisticRegression(max_iter=300), X, values


def models():
    out = {}
    for kind in KINDS:
        name = kind.replace("<", "le-").replace(">", "be-").replace("?", "bool")
        out[f"coef-{name}"] = lambda kind=kind: linear(kind, "C")
    out["coef-fortran"] = lambda: linear("<f8", "F")
    out["coef-fortran-be"] = lambda: linear(">f4", "F")
    out["labels-unicode-be"] = lambda: labels(NAMES.astype(">U5"))
    out["labels-object"] = lambda: labels(NAMES.astype(object))
    out["labels-bool"] = lambda: labels(BINARY == 1)
    out["labels-uint8"] = lambda: labels(THREE.astype("u1"))
    out["labels-float"] = lambda: labels(THREE * 2.0)
    return out


def extra(save):
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(3, max_depth=4, random_state=1)).fit(X, NAMES)
    text = LogisticRegression(max_iter=300, class_weight={"iris": 1, "rose": 2, "tülip": 3}).fit(X, NAMES.astype(object))
    big = LinearRegression().fit(np.asfortranarray(X), TWO)
    for name, model in {"forest": forest, "text": text, "two": big}.items():
        for p in range(6):
            def dump(path, p=p, model=model):
                path.write_bytes(pickle.dumps(model, protocol=p))
            save(f"{name}.p{p}", model, X[:12], dump, fmt=f"pickle protocol {p}")
        for method in (0, "zlib", "gzip", "bz2", "xz", "lzma", "lz4"):
            def dump(path, method=method, model=model):
                joblib.dump(model, path, compress=(method, 3) if method else 0)
            try:
                save(f"{name}.{method or 'plain'}", model, X[:12], dump, "joblib",
                     f"joblib {method or 'plain'}")
            except ValueError as err:
                print("formats:", err)
