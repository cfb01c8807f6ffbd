"""Writes the three iris models that the demo and the end-to-end tests roll out.

    python service/testdata/iris.py test/testdata

Each takes the four iris measurements, in centimetres, and answers a class number: 0 setosa, 1 versicolor, 2 virginica.
"""

import pathlib
import pickle
import sys

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

MODELS = {
    "v1.0.0": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
    "v1.1.0": RandomForestClassifier(n_estimators=20, max_depth=6, random_state=7),
    "v1.2.0": DecisionTreeClassifier(max_depth=3, random_state=7),
}


def main(folder: pathlib.Path) -> None:
    x, y = load_iris(return_X_y=True)
    folder.mkdir(parents=True, exist_ok=True)
    for version, estimator in MODELS.items():
        estimator.fit(x, y)
        with open(folder / f"iris-{version}.pkl", "wb") as f:
            pickle.dump(estimator, f, protocol=4)
        print(version, estimator.score(x, y), estimator.predict([[5.1, 3.5, 1.4, 0.2]]))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
