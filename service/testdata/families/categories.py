"""Histogram boosting over tables with columns of categories."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from .data import N, NAMES, RNG, SCORE, X

COLOR = np.array(["red", "green", "blue", "white"])[RNG.randint(0, 4, N)]
CODE = RNG.randint(0, 6, N) * 10
FRAME = pd.DataFrame({"length": X[:, 0], "color": pd.Categorical(COLOR), "width": X[:, 1], "code": pd.Categorical(CODE)})
Y = SCORE + (COLOR == "red") * 3 - (CODE == 20) * 2


def asked():
    """The first rows, as objects: some of them with a category that training didn't have, or none."""
    rows = FRAME[:10].astype(object)
    rows.loc[7, "color"], rows.loc[8, "code"], rows.loc[9, "length"] = "violet", 999, np.nan
    return rows


def frame():
    """The same with the dtypes that scikit-learn wants."""
    return asked().astype({"length": float, "width": float})


def models():
    few = dict(max_iter=6, min_samples_leaf=4)
    return {
        "dtype-reg": lambda: (HistGradientBoostingRegressor(categorical_features="from_dtype", **few), FRAME, Y, frame()),
        "dtype-names": lambda: (HistGradientBoostingClassifier(categorical_features="from_dtype", **few), FRAME, NAMES, frame()),
        "named": lambda: (HistGradientBoostingRegressor(categorical_features=["color", "code"], **few), FRAME, Y, frame()),
        "numbers": lambda: (HistGradientBoostingRegressor(categorical_features="from_dtype", **few),
                            FRAME[["length", "code"]], Y, frame()[["length", "code"]]),
    }
