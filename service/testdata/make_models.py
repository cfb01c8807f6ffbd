"""Writes small models of every family with the scikit-learn that runs this, and beside each what it answers.

    python service/testdata/make_models.py service/testdata [family…]

A family is a module in families/ with a function models() that returns {name: function}; the function returns
(estimator, x, y), or (estimator, x, y, rows to ask). What a version of scikit-learn doesn't have is left out.
"""

import importlib
import json
import math
import pathlib
import pickle
import sys
import tempfile
import warnings
import zipfile

import numpy as np
import sklearn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
warnings.simplefilter("ignore")


def plain(values):
    """Values as JSON has them: NaN is null, and 13 digits are enough."""
    if isinstance(values, (list, tuple)):
        return [plain(v) for v in values]
    if isinstance(values, np.ndarray):
        return [plain(v) for v in values] if values.ndim else plain(values.item())
    if isinstance(values, np.generic):
        values = values.item()
    if isinstance(values, float):
        return None if math.isnan(values) else float(f"{values:.13g}")
    return values


def sample(x):
    rows = np.asarray(x)[:9]
    return np.vstack([rows, rows[:3] * 1.25])


def expected(estimator, rows, method=None):
    answer = {"class": type(estimator).__name__, "x": plain(rows), "version": sklearn.__version__}
    predict = getattr(estimator, method or "predict", None) or estimator.transform
    prediction = predict(rows)
    if hasattr(prediction, "toarray"):
        prediction = prediction.toarray()
    prediction = np.asarray(prediction)
    if prediction.dtype == bool and not hasattr(estimator, "predict"):
        prediction = prediction.astype(float)
    answer["vector"] = prediction.ndim == 2
    answer["prediction"] = plain(prediction)
    for key, name in (("probabilities", "predict_proba"), ("decision", "decision_function")):
        try:
            values = getattr(estimator, name)(rows)
        except (AttributeError, NotImplementedError):
            continue
        if isinstance(values, list):  # one array for each output: JSON has them row by row
            values = [list(v) for v in zip(*values)]
        answer[key] = plain(values)
    return answer


class Bundle:
    """The models of one family, in one zip file: NAME.pkl or NAME.joblib, and NAME.json."""

    def __init__(self, path):
        self.path, self.files = path, {}

    def save(self, name, estimator, rows, dump=None, suffix="pkl", fmt="pickle", float32=False):
        answer = expected(estimator, rows)
        if float32:  # scikit-learn computes it in 32 bits
            answer["float32"] = True
        answer["format"] = fmt
        if dump:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / f"model.{suffix}"
                dump(path)
                content = path.read_bytes()
        else:
            content = pickle.dumps(estimator, protocol=4)
        self.files[f"{name}.{suffix}"] = content
        self.files[f"{name}.json"] = json.dumps(answer, separators=(",", ":")).encode()

    def close(self):
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
            for name, content in sorted(self.files.items()):
                z.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)


def main(folder, families):
    folder = folder / f"sklearn-{sklearn.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    for family in families:
        module = importlib.import_module(f"families.{family}")
        bundle = Bundle(folder / f"{family}.zip")
        for name, build in module.models().items():
            try:
                estimator, x, y, *rows = build()
                if x is not None:
                    estimator.fit(x, y) if y is not None else estimator.fit(x)
                bundle.save(name, estimator, rows[0] if rows else sample(x), float32=name in getattr(module, "FLOAT32", ()))
            except (AttributeError, ValueError, TypeError, ImportError, KeyError) as err:
                print(f"{family}-{name}: not in {sklearn.__version__}: {str(err)[:70]!r}")
        if hasattr(module, "extra"):
            module.extra(bundle.save)
        bundle.close()
        print(family, len(bundle.files) // 2)


if __name__ == "__main__":
    here = pathlib.Path(__file__).parent / "families"
    known = sorted(p.stem for p in here.glob("[a-z]*.py") if p.stem != "data")
    main(pathlib.Path(sys.argv[1]), sys.argv[2:] or known)
