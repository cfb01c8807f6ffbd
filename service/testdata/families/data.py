"""The data that all families are fitted on."""

import os

import numpy as np

SEED = int(os.environ.get("SEED", "20261125"))
RNG = np.random.RandomState(SEED)
N = 90
X = np.round(RNG.normal(size=(N, 5)) * [1, 3, 0.5, 20, 1] + [0, 1, 0, 7, -2], 3)
SCORE = np.round(X @ [1.0, -0.5, 2.0, 0.03, 0.7] + 0.3 * RNG.normal(size=N), 4)
TWO = np.column_stack([SCORE, SCORE**2])
BINARY = (SCORE > np.median(SCORE)).astype(int)
THREE = np.digitize(SCORE, np.quantile(SCORE, [0.33, 0.66]))
FOUR = np.digitize(SCORE, np.quantile(SCORE, [0.25, 0.5, 0.75])) * 10 + 1
NAMES = np.array(["iris", "rose", "tülip"])[THREE]
PAIRS = np.column_stack([THREE, BINARY])
POSITIVE = np.round(np.exp(SCORE / 4), 4) + 0.01
COUNTS = np.round(np.abs(X) * 2).astype(int) % 6
HOLES = X.copy()
HOLES[RNG.uniform(size=X.shape) < 0.15] = np.nan
