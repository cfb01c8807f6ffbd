"""Naive Bayes, discriminant analysis, nearest neighbours and centroids."""

import numpy as np
from sklearn import discriminant_analysis as da, naive_bayes as nb, neighbors as ne

from .data import BINARY, COUNTS, FOUR, NAMES, PAIRS, SCORE, THREE, TWO, X

SMALL = X / np.array([1, 3, 0.5, 20, 1])


def models():
    out = {
        "complement-norm": lambda: (nb.ComplementNB(norm=True), COUNTS, NAMES),
        "bernoulli-binarize": lambda: (nb.BernoulliNB(binarize=0.2, alpha=0.5), X, NAMES),
        "multinomial-no-prior": lambda: (nb.MultinomialNB(fit_prior=False, alpha=2), COUNTS, NAMES),
        "lda-lsqr": lambda: (da.LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), X, NAMES),
        "lda-eigen": lambda: (da.LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.2), X, NAMES),
        "qda-reg": lambda: (da.QuadraticDiscriminantAnalysis(reg_param=0.1), X, NAMES),
        "knn-pairs": lambda: (ne.KNeighborsClassifier(4), SMALL, PAIRS),
        "knn-two": lambda: (ne.KNeighborsRegressor(3, weights="distance"), SMALL, TWO),
        "centroid-manhattan": lambda: (ne.NearestCentroid(metric="manhattan"), X, NAMES),
        "centroid-shrink": lambda: (ne.NearestCentroid(shrink_threshold=0.3), X, NAMES),
    }
    for kind, y in {"binary": BINARY, "names": NAMES, "four": FOUR}.items():
        out[f"gaussian-{kind}"] = lambda y=y: (nb.GaussianNB(var_smoothing=1e-8), X, y)
        out[f"multinomial-{kind}"] = lambda y=y: (nb.MultinomialNB(), COUNTS, y)
        out[f"complement-{kind}"] = lambda y=y: (nb.ComplementNB(), COUNTS, y)
        out[f"bernoulli-{kind}"] = lambda y=y: (nb.BernoulliNB(binarize=1.5), COUNTS, y)
        out[f"categorical-{kind}"] = lambda y=y: (nb.CategoricalNB(min_categories=6), COUNTS, y, COUNTS[:12])
        out[f"lda-{kind}"] = lambda y=y: (da.LinearDiscriminantAnalysis(), X, y)
        out[f"qda-{kind}"] = lambda y=y: (da.QuadraticDiscriminantAnalysis(), X, y)
        out[f"centroid-{kind}"] = lambda y=y: (ne.NearestCentroid(), X, y)
        for algorithm in ("brute", "kd_tree", "ball_tree"):
            out[f"knn-{algorithm}-{kind}"] = lambda y=y, g=algorithm: (
                ne.KNeighborsClassifier(5, algorithm=g, leaf_size=10), SMALL[:50], y[:50], SMALL[50:62])
        out[f"knn-distance-{kind}"] = lambda y=y: (
            ne.KNeighborsClassifier(6, weights="distance"), SMALL[:50], y[:50], SMALL[46:58])
    for metric, p in (("manhattan", 2), ("chebyshev", 2), ("minkowski", 3), ("euclidean", 2), ("minkowski", 1)):
        out[f"knn-{metric}-{p}"] = lambda m=metric, p=p: (
            ne.KNeighborsRegressor(4, metric=m, p=p), SMALL[:50], SCORE[:50], SMALL[50:62])
    return out
