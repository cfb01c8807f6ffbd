"""Tables: columns by name, of numbers, texts and both, and with holes."""

import numpy as np
import pandas as pd
from sklearn import compose as co, impute as im, preprocessing as pp
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction import text as tx
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline

from ._dumps import dumped
from .data import HOLES, N, NAMES, RNG, SCORE, THREE, X

NAN = np.nan


def objects(values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def draw(choices, p=None):
    return objects([choices[i] for i in RNG.choice(len(choices), N, p=p)])


COLOR = draw(["red", "green", "blue", "tülip", "rare one", "rare two"], [0.3, 0.3, 0.2, 0.16, 0.02, 0.02])
COLOR[:6] = ["red", "green", "blue", "tülip", "rare one", "rare two"]
SIZE = draw(["small", "medium", "large"])
SHOP = draw(["a", "b", None], [0.5, 0.3, 0.2])
CITY = draw(["Oslo", "Rome", NAN], [0.5, 0.3, 0.2])
MARKED = draw(["x", "y", "?"], [0.5, 0.3, 0.2])
TEXT = draw(["a quick fox", "the lazy dog", "fox and dog", "quick"])
FLAG = RNG.uniform(size=N) < 0.5
CODE = RNG.randint(0, 5, N)
FRAME = pd.DataFrame({"length": X[:, 0], "color": COLOR, "width": X[:, 1], "size": SIZE, "flag": FLAG, "code": CODE})
HOLED = pd.DataFrame({"length": HOLES[:, 0]})
for name, values in {"shop": SHOP, "width": HOLES[:, 1], "city": CITY}.items():  # pandas 3 would make all holes NaN
    HOLED[name] = pd.Series(values, dtype=values.dtype)
TEXTS = pd.DataFrame({"length": X[:, 0], "note": TEXT, "color": COLOR})
CATEGORIES = FRAME[["color", "size"]]


def asked(frame, **changes):
    """The first rows, with other values in some columns of the last ones."""
    rows = frame[:10].copy()
    for name, values in changes.items():
        column = objects(list(rows[name]))
        column[-len(values):] = values
        rows[name] = pd.Series(column, dtype=object, index=rows.index)
    return rows


NEW = asked(CATEGORIES, color=["violet", "", "Red"], size=["huge"])
HOLES_NEW = asked(HOLED[["shop", "city"]], shop=["z"], city=["Bonn", "Oslo"])


def encoded(encoder, frame, rows=None):
    return lambda: (encoder(), frame, None, asked(frame) if rows is None else rows)


def encoders():
    one, ordinal = pp.OneHotEncoder, pp.OrdinalEncoder
    shops = HOLED[["shop"]]
    out = {
        "onehot": encoded(lambda: one(), CATEGORIES),
        "onehot-array": lambda: (one(), CATEGORIES.to_numpy(dtype=object), None, CATEGORIES.to_numpy(dtype=object)[:9]),
        "onehot-unicode": lambda: (one(), CATEGORIES.to_numpy(dtype=object).astype("U8"), None,
                                   CATEGORIES.to_numpy(dtype=object)[:9].astype("U8")),
        "onehot-mixed": encoded(lambda: one(), FRAME[["color", "code", "flag"]]),
        "onehot-ignore": encoded(lambda: one(handle_unknown="ignore"), CATEGORIES, NEW),
        "onehot-first": encoded(lambda: one(drop="first"), CATEGORIES),
        "onehot-binary": encoded(lambda: one(drop="if_binary"), FRAME[["color", "flag"]]),
        "onehot-chosen": encoded(lambda: one(drop=["green", "large"]), CATEGORIES),
        "onehot-given": encoded(lambda: one(categories=[["blue", "red", "green", "tülip", "rare two", "rare one"],
                                                        ["small", "medium", "large", "giant"]]), CATEGORIES),
        "onehot-none": encoded(lambda: one(), shops),
        "onehot-nan": encoded(lambda: one(), HOLED[["city"]]),
        "onehot-holes-ignore": encoded(lambda: one(handle_unknown="ignore"), HOLED[["shop", "city"]], HOLES_NEW),
        "onehot-many": lambda: (make_pipeline(one(handle_unknown="ignore"), LogisticRegression()),
                                pd.DataFrame({"id": [f"user {i % 300}" for i in range(600)]}), np.arange(600) % 3,
                                pd.DataFrame({"id": ["user 7", "user 299", "nobody"]})),
        "ordinal": encoded(lambda: ordinal(), CATEGORIES),
        "ordinal-given": encoded(lambda: ordinal(categories=[["small", "medium", "large"]]), FRAME[["size"]]),
        "ordinal-unknown": encoded(lambda: ordinal(handle_unknown="use_encoded_value", unknown_value=-1), CATEGORIES, NEW),
        "ordinal-unknown-nan": encoded(lambda: ordinal(handle_unknown="use_encoded_value", unknown_value=NAN), CATEGORIES, NEW),
        "ordinal-nan": encoded(lambda: ordinal(), HOLED[["city"]]),
        "ordinal-missing": encoded(lambda: ordinal(encoded_missing_value=-9), HOLED[["city"]]),
        "ordinal-none": encoded(lambda: ordinal(), shops),
        "ordinal-holes-unknown": encoded(lambda: ordinal(handle_unknown="use_encoded_value", unknown_value=-1),
                                         HOLED[["shop", "city"]], HOLES_NEW),
        "ordinal-rare": encoded(lambda: ordinal(min_frequency=5), CATEGORIES),
        "ordinal-rare-missing": encoded(lambda: ordinal(max_categories=2, encoded_missing_value=-2,
                                                        handle_unknown="use_encoded_value", unknown_value=-3),
                                        HOLED[["shop", "city"]], HOLES_NEW),
    }
    rare = {
        "min": {"min_frequency": 5}, "share": {"min_frequency": 0.25}, "max": {"max_categories": 3},
        "if-exist": {"min_frequency": 5, "handle_unknown": "infrequent_if_exist"},
        "ignore": {"min_frequency": 5, "handle_unknown": "ignore"},
        "first": {"max_categories": 3, "drop": "first", "handle_unknown": "infrequent_if_exist"},
        "dropped": {"max_categories": 3, "drop": ["red", "medium"]},
        "binary": {"max_categories": 2, "drop": "if_binary"}, "warn": {"max_categories": 3, "handle_unknown": "warn"},
    }
    for name, options in rare.items():
        rows = NEW if "handle_unknown" in options else None
        out[f"onehot-rare-{name}"] = encoded(lambda options=options: one(**options), CATEGORIES, rows)
    for name, y in {"binary": THREE > 0, "classes": NAMES, "numbers": SCORE}.items():
        out[f"target-{name}"] = lambda y=y: (pp.TargetEncoder(random_state=0), FRAME[["color", "code"]], y, asked(
            FRAME[["color", "code"]], color=["violet", "red"]))
        out[f"target-{name}-model"] = lambda y=y: (make_pipeline(pp.TargetEncoder(random_state=0), LogisticRegression()
            if y is not SCORE else Ridge()), HOLED[["shop", "city"]], y, HOLES_NEW)
    return out


def imputers():
    simple = im.SimpleImputer
    holes = HOLED[["city"]]
    out = {
        "imputer-frequent": encoded(lambda: simple(strategy="most_frequent"), holes),
        "imputer-constant": encoded(lambda: simple(strategy="constant", fill_value="nowhere"), holes),
        "imputer-default": encoded(lambda: simple(strategy="constant"), holes),
        "imputer-none": encoded(lambda: simple(missing_values=None, strategy="most_frequent"), HOLED[["shop"]]),
        "imputer-mark": encoded(lambda: simple(missing_values="?", strategy="most_frequent"), pd.DataFrame({"mark": MARKED})),
    }
    # What they give is text, which has no JSON form here: an encoder follows.
    return {**{name: then(build) for name, build in out.items()},
        "imputer-flags": lambda: (make_pipeline(co.make_column_transformer(
            (make_pipeline(simple(strategy="most_frequent"), pp.OneHotEncoder()), ["city"]),
            (simple(add_indicator=True), ["length", "width"]))), HOLED, None, asked(HOLED)),
    }


def then(build):
    def built():
        estimator, x, _, rows = build()
        return make_pipeline(estimator, pp.OneHotEncoder(handle_unknown="ignore")), x, None, rows
    return built


def transformers():
    make, one, scale = co.make_column_transformer, pp.OneHotEncoder, pp.StandardScaler
    mixed = [(scale(), ["length", "width"]), (one(handle_unknown="ignore"), ["color", "size"])]
    texts = [(scale(), ["length"]), (tx.CountVectorizer(), "note")]
    new = asked(FRAME, color=["violet", "red"])
    return {
        "names": lambda: (make(*mixed), FRAME, None, new),
        "names-passthrough": lambda: (make(*mixed, remainder="passthrough"), FRAME, None, new),
        "names-remainder": lambda: (make(mixed[1], remainder=scale()), FRAME.drop(columns="flag"), None,
                                    new.drop(columns="flag")),
        "names-order": lambda: (make((one(), ["size"]), ("passthrough", ["code", "length"]), ("drop", ["flag"])), FRAME, None, new),
        "names-index": lambda: (make((scale(), FRAME.columns[[0, 2]]), (one(handle_unknown="ignore"), CATEGORIES.columns)),
                                FRAME, None, new),
        "names-slice": lambda: (make((one(handle_unknown="ignore"), slice("size", "code")), (scale(), slice("length", "length"))),
                                FRAME, None, new),
        "names-mask": lambda: (make((one(), np.array([False, False, False, True, False, True])),
                                    ("passthrough", [True] + 5 * [False])), FRAME, None, new),
        "names-selector": lambda: (make((scale(), co.make_column_selector(dtype_include="number")),
                                        (one(handle_unknown="ignore"), co.make_column_selector(dtype_include=object))),
                                   FRAME, None, new),
        "names-selector-pattern": lambda: (make((scale(), co.make_column_selector(pattern="th$"))), FRAME, None, new),
        "names-plain": lambda: (co.ColumnTransformer([("a", scale(), ["length"]), ("b", one(), ["size"])],
                                                     verbose_feature_names_out=False), FRAME, None, new),
        "names-weights": lambda: (co.ColumnTransformer([("a", scale(), ["length"]), ("b", one(), ["size"])],
                                                       transformer_weights={"b": 2.5}), FRAME, None, new),
        "names-single": lambda: (make(*texts), TEXTS, None, asked(TEXTS, note=["a fox", ""])),
        "names-single-index": lambda: (make((tx.TfidfVectorizer(), 1), (one(), [2])), TEXTS, None, asked(TEXTS)),
        "names-text-logistic": lambda: (make_pipeline(make(*texts, (one(handle_unknown="ignore"), ["color"])), LogisticRegression()),
                                        TEXTS, NAMES, asked(TEXTS, note=["a fox", ""], color=["violet"])),
        "names-array": lambda: (make((scale(), [0, 2]), (one(), [1, 3])), FRAME.to_numpy(dtype=object), None,
                                FRAME.to_numpy(dtype=object)[:9]),
        "names-union": lambda: (make((FeatureUnion([("a", one()), ("b", pp.OrdinalEncoder())]), ["color", "size"])), FRAME, None,
                                asked(FRAME)),
        "names-nested": lambda: (make((make(*mixed[1:], remainder="passthrough"), ["color", "size", "code"]),
                                      (scale(), ["width"])), FRAME, None, new),
    }


def tables():
    make, one = co.make_column_transformer, pp.OneHotEncoder
    numbers = make_pipeline(im.SimpleImputer(strategy="median"), pp.StandardScaler())

    def texts(strategy="most_frequent", fill=None):
        return make_pipeline(im.SimpleImputer(strategy=strategy, fill_value=fill), one(handle_unknown="ignore"))

    shops = make_pipeline(im.SimpleImputer(missing_values=None, strategy="constant", fill_value="none"),
                          one(handle_unknown="ignore"))

    def both():
        return make((numbers, ["length", "width"]), (texts(), ["city"]), (shops, ["shop"]))

    rows = asked(HOLED, city=["Bonn", NAN], shop=["z", None])
    return {
        "table-logistic": lambda: (make_pipeline(both(), LogisticRegression()), HOLED, NAMES, rows),
        "table-forest": lambda: (make_pipeline(both(), RandomForestClassifier(5, random_state=0)), HOLED, THREE, rows),
        "table-boosting": lambda: (make_pipeline(both(), GradientBoostingRegressor(n_estimators=10, random_state=0)), HOLED, SCORE,
                                   rows),
        "table-constant": lambda: (make_pipeline(make((texts("constant", "?"), ["city"]), remainder=numbers), Ridge()),
                                   HOLED.drop(columns="shop"), SCORE, rows.drop(columns="shop")),
        "table-grid": lambda: (GridSearchCV(make_pipeline(both(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2),
                               HOLED, NAMES, rows),
        "table-voting": lambda: (VotingClassifier([("a", make_pipeline(both(), LogisticRegression())), (
            "b", make_pipeline(both(), RandomForestClassifier(3, random_state=0)))], voting="soft"), HOLED, NAMES, rows),
        "table-stacking": lambda: (StackingClassifier([("a", make_pipeline(both(), LogisticRegression())), (
            "b", make_pipeline(both(), RandomForestClassifier(3, random_state=0)))], LogisticRegression(), cv=3), HOLED, NAMES, rows),
        "table-calibrated": lambda: (CalibratedClassifierCV(make_pipeline(both(), LogisticRegression()), cv=2), HOLED, THREE, rows),
        "table-ordinal-forest": lambda: (make_pipeline(make(
            (pp.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["color", "size"]), remainder="passthrough"),
            RandomForestClassifier(5, random_state=0)), FRAME, NAMES, asked(FRAME, color=["violet"])),
        "table-numbers": lambda: (make_pipeline(pp.StandardScaler(), LogisticRegression()), FRAME[["length", "width", "code"]], NAMES,
                                  FRAME[["length", "width", "code"]][:9]),
    }


def models():
    return {**encoders(), **imputers(), **transformers(), **tables()}


def extra(save):
    """Formats that hold other forms of names and categories."""
    for name in ("names-index", "table-logistic"):
        estimator, x, y, rows = models()[name]()
        dumped(save, f"format-{name}", estimator.fit(x) if y is None else estimator.fit(x, y), rows)
