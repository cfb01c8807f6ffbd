"""Writes small models of every family with the scikit-learn that runs this, and beside each what it answers.

    python service/testdata/make_models.py service/testdata [--few] [family…]

With --few the models of all families are thinned out to one file: that is for the versions between.

A family is a module in families/ with a function models() that returns {name: function}; the function returns
(estimator, x, y), or (estimator, x, y, rows to ask). What a version of scikit-learn doesn't have is left out.
"""

import gzip
import importlib
import io
import json
import math
import pathlib
import pickle
import sys
import tarfile
import tempfile
import warnings
import zipfile

import numpy as np
import sklearn

sys.path.insert(0, str(pathlib.Path(__file__).parent))
warnings.simplefilter("ignore")
# What a version says that doesn't have a model.
MISSING = (AttributeError, ValueError, TypeError, ImportError, KeyError, AssertionError)


def plain(values):
    """Values as JSON has them: NaN is null, and 13 digits are enough."""
    if hasattr(values, "columns"):
        values = values.to_numpy(dtype=object)
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
    if hasattr(rows, "columns"):
        answer["columns"] = list(rows.columns)
    predict = getattr(estimator, method or "predict", None) or estimator.transform
    predict = getattr(estimator, "inplace_predict", predict)  # of xgboost.Booster, whose predict takes no arrays
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
        except (AttributeError, NotImplementedError, ValueError):
            continue
        if isinstance(values, list):  # one array for each output: JSON has them row by row
            values = [list(v) for v in zip(*values)]
        answer[key] = plain(values)
    return answer


class Bundle:
    """Models in one file, zip or tar.gz: NAME.pkl or NAME.joblib, and NAME.json."""

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
        if self.path.suffix == ".gz":
            return self.close_tar()
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
            for name, content in sorted(self.files.items()):
                z.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)

    def close_tar(self):
        """Smaller than zip, as the models share a window, and alike from run to run: gzip's header has no time."""
        with gzip.GzipFile(self.path, "wb", 9, mtime=0) as z, tarfile.open(fileobj=z, mode="w") as t:
            for name, content in sorted(self.files.items(), key=lambda f: f[0].split(".")[::-1]):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                t.addfile(info, io.BytesIO(content))


def models_of(family):
    """The module of a family, the version of its library, and the fitted models that this installation has."""
    module = importlib.import_module(f"families.{family}")
    version = getattr(module, "VERSION", sklearn.__version__)

    def built():
        for name, build in module.models().items():
            try:
                estimator, x, y, *rows = build()
                if x is not None:
                    estimator.fit(x, y) if y is not None else estimator.fit(x)
                yield name, estimator, rows[0] if rows else sample(x)
            except MISSING as err:
                print(f"{family}-{name}: not in {version}: {str(err)[:70]!r}")

    return module, version, built()


def write(folder, family):
    """All models of a family."""
    module, version, built = models_of(family)
    folder = folder / f"{getattr(module, 'LIBRARY', 'sklearn')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    bundle, float32 = Bundle(folder / f"{family}.zip"), getattr(module, "FLOAT32", ())
    for name, estimator, rows in built:
        bundle.save(name, estimator, rows, float32=float32 is True or name in float32)
    if hasattr(module, "extra"):
        module.extra(bundle.save)
    bundle.close()
    print(family, len(bundle.files) // 2)


def write_few(folder, families):
    """For each class the default and one with drawn settings, and what they don't have, in few.tar.gz."""
    folder = folder / f"sklearn-{sklearn.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    bundle, seen = Bundle(folder / "few.tar.gz"), {}
    for family in sorted(families, key=lambda f: f != "random"):
        try:
            module, _, built = models_of(family)
        except ImportError as err:
            print(f"{family}: {err}")
            continue
        if hasattr(module, "LIBRARY"):  # not of scikit-learn
            continue
        float32 = getattr(module, "FLOAT32", ())
        for name, estimator, rows in built:
            kind = type(estimator).__name__
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] <= 2 or family == "random" and not name.endswith("-2"):
                bundle.save(f"{family}-{name}", estimator, rows, float32=name in float32)
        if family == "formats":
            module.extra(lambda name, *args, **more: name.startswith("text") and bundle.save(name, *args, **more))
    bundle.close()
    print("few", len(bundle.files) // 2)


def main(folder, *families):
    few, families = families[:1] == ("--few",), [f for f in families if f != "--few"]
    here = pathlib.Path(__file__).parent / "families"
    families = families or sorted(p.stem for p in here.glob("[a-z]*.py") if p.stem not in ("data", "frames"))
    if few:
        return write_few(folder, families)
    for family in families:
        try:
            write(folder, family)
        except ImportError as err:
            print(f"{family}: {err}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
