"""Writes model files with the scikit-learn that runs this, and beside each what scikit-learn predicts with it.

    python service/testdata/make_fixtures.py service/testdata

The files go to a folder that is named after the version of scikit-learn: NAME.pkl or NAME.joblib, and NAME.json with
{"class", "x", "prediction", "classes", "vector"}.
"""

import json
import pathlib
import pickle
import sys
import warnings

import joblib
import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

warnings.simplefilter("ignore")
OLD = tuple(int(n) for n in sklearn.__version__.split(".")[:2]) < (1, 5)
RNG = np.random.RandomState(20261124)
X = RNG.normal(size=(160, 5)) * [1, 3, 0.1, 40, 1] + [0, 1, 0, 7, -2]
SCORE = X @ [1.0, -0.5, 9.0, 0.03, 0.7] + 0.2 * RNG.normal(size=160)
BINARY = (SCORE > np.median(SCORE)).astype(int)
THREE = np.digitize(SCORE, np.quantile(SCORE, [0.33, 0.66]))
TEN = np.digitize(SCORE, np.quantile(SCORE, np.arange(0.1, 1, 0.1)))
FLOWERS = np.array(["iris", "rose", "tülip"])


def wide(columns: int) -> np.ndarray:
    return np.hstack([RNG.normal(size=(160, columns - 5)), X])


def estimators() -> dict:
    """All estimators with what they are fitted on: name -> (estimator, x, y)."""
    two = np.column_stack([SCORE, SCORE**2])
    logistic = LogisticRegression(max_iter=500)
    out = {
        "linear": (LinearRegression(), X, SCORE),
        "linear-no-intercept": (LinearRegression(fit_intercept=False), X, SCORE),
        "linear-two-outputs": (LinearRegression(), X, two),
        "linear-column": (LinearRegression(), X, SCORE.reshape(-1, 1)),
        "logistic-binary": (logistic, X, BINARY),
        "logistic-bool": (LogisticRegression(max_iter=500), X, BINARY == 1),
        "logistic-float-labels": (LogisticRegression(max_iter=500), X, BINARY * 2.0 + 1),
        "logistic-multinomial": (LogisticRegression(max_iter=500), X, THREE),
        "logistic-text": (LogisticRegression(max_iter=500), X, FLOWERS[THREE]),
        "logistic-object": (LogisticRegression(max_iter=500), X, FLOWERS[THREE].astype(object)),
        "logistic-liblinear": (LogisticRegression(solver="liblinear"), X, BINARY),
        "tree-classifier": (DecisionTreeClassifier(random_state=0), X, THREE),
        "tree-classifier-text": (DecisionTreeClassifier(max_depth=3, random_state=0), X, FLOWERS[THREE].astype(object)),
        "tree-classifier-weights": (DecisionTreeClassifier(max_depth=4, class_weight="balanced"), X, TEN),
        "tree-regressor": (DecisionTreeRegressor(max_depth=6, random_state=0), X, SCORE),
        "tree-regressor-two-outputs": (DecisionTreeRegressor(max_depth=4, random_state=0), X, two),
        "tree-stump": (DecisionTreeRegressor(max_depth=1), X, np.ones(160)),
        "forest-classifier": (RandomForestClassifier(9, random_state=1), X, THREE),
        "forest-classifier-ten": (RandomForestClassifier(7, max_depth=5, random_state=1), X, TEN),
        "forest-classifier-bool": (RandomForestClassifier(4, max_leaf_nodes=9, random_state=1), X, BINARY == 1),
        "forest-classifier-state": (RandomForestClassifier(3, random_state=np.random.RandomState(5)), X, BINARY),
        "forest-classifier-wide": (RandomForestClassifier(6, max_depth=4, random_state=1), wide(300), THREE),
        "forest-regressor": (RandomForestRegressor(11, max_depth=5, random_state=1), X, SCORE),
        "forest-regressor-two-outputs": (RandomForestRegressor(5, max_depth=4, random_state=1), X, two),
        "scaler": (StandardScaler(), X, None),
        "scaler-no-mean": (StandardScaler(with_mean=False), X, None),
        "scaler-no-std": (StandardScaler(with_std=False), X, None),
        "pipeline-logistic": (make_pipeline(StandardScaler(), LogisticRegression()), X, FLOWERS[THREE]),
        "pipeline-forest": (make_pipeline(StandardScaler(), RandomForestClassifier(5, max_depth=5, random_state=2)), X, THREE),
        "pipeline-nested": (
            Pipeline([
                ("skip", "passthrough"),
                ("inner", make_pipeline(StandardScaler(), StandardScaler(with_std=False))),
                ("end", LinearRegression()),
            ]), X, SCORE,
        ),
        "pipeline-scalers": (make_pipeline(StandardScaler(), StandardScaler()), X, None),
    }
    if OLD:
        out["logistic-ovr"] = (LogisticRegression(multi_class="ovr"), X, THREE)
        out["logistic-binary-multinomial"] = (LogisticRegression(multi_class="multinomial"), X, BINARY)
    return out


def plain(values: np.ndarray) -> list:
    return np.asarray(values).tolist()


def expected(estimator, x: np.ndarray) -> dict:
    rows = np.vstack([x[:24], x[:6] + 0.25, np.zeros_like(x[:1])])
    predict = getattr(estimator, "predict", None) or estimator.transform
    prediction = predict(rows)
    return {
        "class": type(estimator).__name__,
        "classes": plain(getattr(estimator, "classes_", [])),
        "vector": prediction.ndim == 2,
        "x": plain(rows),
        "prediction": plain(prediction),
    }


def main(folder: pathlib.Path) -> None:
    folder = folder / f"sklearn-{sklearn.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (estimator, x, y) in estimators().items():
        estimator.fit(x, y)
        write(folder, name, estimator, x)
    for p in (2, 3, 4, 5):  # every protocol, on models that hold all kinds of values
        for name in ("logistic-object", "forest-classifier-state", "pipeline-forest"):
            estimator, x, _ = cache[name]
            write(folder, f"{name}.p{p}", estimator, x, protocol=p)
    for name in ("linear-two-outputs", "logistic-object", "forest-regressor", "pipeline-forest"):
        estimator, x, _ = cache[name]
        for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3)):
            method = compress[0] if compress else "plain"
            path = folder / f"{name}.{method}.joblib"
            joblib.dump(estimator, path, compress=compress)
            path.with_suffix(".json").write_text(json.dumps(expected(estimator, x)))
    frame(folder)


def write(folder, name, estimator, x, protocol=4) -> None:
    cache[name] = (estimator, x, None)
    (folder / f"{name}.pkl").write_bytes(pickle.dumps(estimator, protocol=protocol))
    (folder / f"{name}.json").write_text(json.dumps(expected(estimator, x)))


def frame(folder) -> None:
    """A model that knows the names of its columns: it has only to look like a data frame to scikit-learn."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, THREE)
    for step in estimator.named_steps.values():
        step.feature_names_in_ = np.array(["length", "width", "depth", "weight", "age"], dtype=object)
    write(folder, "pipeline-names", estimator, X)


cache: dict = {}

if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
