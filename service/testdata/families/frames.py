"""Tables of pandas whose columns are categories."""

import pandas as pd

from .data import HOLES, NAMES, THREE, X

NUMBERS, TEXTS = [5, 15, 25], ["iris", "rose", "tülip"]


def frame(numbers, texts, rows):
    return pd.DataFrame({
        "length": X[rows, 0], "size": pd.Categorical(numbers, categories=sorted({*NUMBERS, *numbers} - {None})),
        "width": HOLES[rows, 1], "color": pd.Categorical(texts, categories=sorted({*TEXTS, *texts} - {None})),
    })


FRAME = frame((THREE[::-1] * 10 + 5).tolist(), NAMES.tolist(), slice(None))
KNOWN = frame([5, 15, 25, 15, None, 25], ["rose", None, "tülip", "iris", "iris", "rose"], slice(6))
UNKNOWN = frame([5, 99, -1, 15, None], ["rose", "iris", "tülip", "daisy", None], slice(5))
