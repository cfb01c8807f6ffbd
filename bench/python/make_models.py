"""Makes the models and rows of the benchmark in the folder that is given. The seeds are fixed."""

import pathlib
import pickle
import sys

import joblib
import lightgbm
import numpy as np
import xgboost
from sklearn.datasets import make_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)


def save(model, name):
    with open(out / name, "wb") as file:
        pickle.dump(model, file, protocol=5)


def random_forest_of(trees, depth, columns, rows=6000):
    """A forest on noise: its trees are full, so that its size is known."""
    rng = np.random.default_rng(trees + depth + columns)
    x, y = rng.random((rows, columns), dtype=np.float32), rng.integers(0, 2, rows)
    return ExtraTreesClassifier(trees, max_depth=depth, max_features=1, random_state=1, n_jobs=-1).fit(x, y)


x, y = make_classification(20_000, 20, n_informative=12, n_redundant=2, random_state=1)
x[:10_000].astype("<f8").tofile(out / "rows.f64")

save(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), "logistic.pkl")
forest = RandomForestClassifier(100, max_depth=12, random_state=1, n_jobs=-1).fit(x, y)
forest.n_jobs = 1
save(forest, "forest.pkl")

save(xgboost.XGBClassifier(n_estimators=100, max_depth=6, random_state=1).fit(x, y), "xgboost.pkl")
save(lightgbm.LGBMClassifier(n_estimators=100, random_state=1, verbose=-1).fit(x, y), "lightgbm.pkl")
deep = lightgbm.LGBMClassifier(
    n_estimators=100, max_depth=12, num_leaves=800, min_child_samples=2, learning_rate=0.02, random_state=1, verbose=-1
).fit(x, y)
save(deep, "lightgbm-deep.pkl")
# leaves knows the text format up to version 3; since then only the header's number has changed for such models.
text = deep.booster_.model_to_string().replace("version=v4", "version=v3", 1)
(out / "lightgbm-deep.txt").write_text(text)

for trees in (10, 30, 100, 300, 1000):
    save(random_forest_of(trees, 8, 20), f"trees-{trees}.pkl")
for depth in (2, 4, 8, 12, 16):
    save(random_forest_of(100, depth, 20), f"depth-{depth}.pkl")
for columns in (5, 20, 100, 1000):
    save(random_forest_of(100, 8, columns), f"columns-{columns}.pkl")

rng = np.random.default_rng(1)
large = ExtraTreesClassifier(34, max_features=1, random_state=1, n_jobs=-1)
large.fit(rng.random((30_000, 20), dtype=np.float32), rng.integers(0, 2, 30_000))
save(large, "large.pkl")
joblib.dump(large, out / "large.joblib")
