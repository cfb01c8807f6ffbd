"""Linear models."""

import numpy as np
from sklearn import linear_model as lm, svm

from .data import BINARY, FOUR, NAMES, POSITIVE, SCORE, THREE, TWO, X


def models():
    out = {
        "logistic-ovr": lambda: (lm.LogisticRegression(multi_class="ovr", C=0.3), X, THREE),
        "logistic-binary-multinomial": lambda: (lm.LogisticRegression(multi_class="multinomial"), X, BINARY),
        "logistic-liblinear-three": lambda: (lm.LogisticRegression(multi_class="ovr", solver="liblinear"), X, THREE),
        "huber": lambda: (lm.HuberRegressor(epsilon=1.6), X, SCORE),
        "quantile": lambda: (lm.QuantileRegressor(quantile=0.7, alpha=0.02, solver="highs"), X, SCORE),
        "theilsen": lambda: (lm.TheilSenRegressor(random_state=0, max_subpopulation=80), X, SCORE),
        "ransac": lambda: (lm.RANSACRegressor(random_state=0), X, SCORE),
        "ransac-two": lambda: (lm.RANSACRegressor(random_state=0), X, TWO),
        "poisson": lambda: (lm.PoissonRegressor(alpha=0.1), X / 10, POSITIVE),
        "gamma": lambda: (lm.GammaRegressor(alpha=0.2), X / 10, POSITIVE),
        "ridge-dense-column": lambda: (lm.Ridge(), X, SCORE.reshape(-1, 1)),
        "linear-svc": lambda: (svm.LinearSVC(C=0.4, max_iter=5000), X, NAMES),
        "linear-svc-binary": lambda: (svm.LinearSVC(C=0.4, loss="hinge", max_iter=5000), X, BINARY),
        "linear-svc-crammer": lambda: (svm.LinearSVC(multi_class="crammer_singer"), X, FOUR),
        "linear-svr": lambda: (svm.LinearSVR(C=0.7, epsilon=0.1, max_iter=5000), X, SCORE),
        "multitask-lasso": lambda: (lm.MultiTaskLasso(alpha=0.1), X, TWO),
        "multitask-elastic": lambda: (lm.MultiTaskElasticNet(alpha=0.1), X, TWO),
        "multitask-lasso-cv": lambda: (lm.MultiTaskLassoCV(n_alphas=4, cv=3), X, TWO),
        "multitask-elastic-cv": lambda: (lm.MultiTaskElasticNetCV(n_alphas=4, cv=3), X, TWO),
        "sgd-oneclass": lambda: (lm.SGDOneClassSVM(nu=0.3, random_state=0), X / 9, None),
    }
    for name, make in {
        "ridge": lambda **k: lm.Ridge(0.7, **k), "ridge-cv": lambda **k: lm.RidgeCV([0.1, 1, 10], **k),
        "lasso": lambda **k: lm.Lasso(0.05, **k), "elastic": lambda **k: lm.ElasticNet(0.1, l1_ratio=0.3, **k),
        "lars": lambda **k: lm.Lars(**k), "lasso-lars": lambda **k: lm.LassoLars(alpha=0.02, **k),
        "omp": lambda **k: lm.OrthogonalMatchingPursuit(n_nonzero_coefs=3, **k),
        "omp-cv": lambda **k: lm.OrthogonalMatchingPursuitCV(cv=3, **k),
        "lasso-cv": lambda **k: lm.LassoCV(n_alphas=5, cv=3, **k), "lars-cv": lambda **k: lm.LarsCV(cv=3, **k),
        "elastic-cv": lambda **k: lm.ElasticNetCV(n_alphas=5, cv=3, **k),
        "lasso-lars-cv": lambda **k: lm.LassoLarsCV(cv=3, **k),
        "lasso-lars-ic": lambda **k: lm.LassoLarsIC(criterion="bic", **k),
        "bayesian": lambda **k: lm.BayesianRidge(**k), "ard": lambda **k: lm.ARDRegression(**k),
        "passive-reg": lambda **k: lm.PassiveAggressiveRegressor(random_state=0, **k),
        "sgd-reg": lambda **k: lm.SGDRegressor(alpha=0.01, random_state=0, **k),
    }.items():
        out[name] = lambda make=make: (make(), X / 7, SCORE)
        out[f"{name}-through-origin"] = lambda make=make: (make(fit_intercept=False), X / 7, SCORE)
        if name in ("ridge", "ridge-cv", "lasso", "elastic", "lars", "lasso-lars", "omp"):
            out[f"{name}-two"] = lambda make=make: (make(), X / 7, TWO)
    for power in (0, 1, 1.5, 2, 3):
        for link in ("auto", "identity", "log"):
            if (power, link) != (0, "log") and not (power and link == "identity"):
                out[f"tweedie-{power}-{link}"] = lambda power=power, link=link: (
                    lm.TweedieRegressor(power=power, link=link, alpha=0.1), X / 10, POSITIVE)
    for kind, y in {"binary": BINARY, "three": NAMES, "four": FOUR.astype(float)}.items():
        out[f"ridge-classifier-{kind}"] = lambda y=y: (lm.RidgeClassifier(2.0), X, y)
        out[f"ridge-classifier-cv-{kind}"] = lambda y=y: (lm.RidgeClassifierCV([0.1, 1]), X, y)
        out[f"perceptron-{kind}"] = lambda y=y: (lm.Perceptron(random_state=1), X, y)
        out[f"passive-{kind}"] = lambda y=y: (lm.PassiveAggressiveClassifier(random_state=1), X, y)
        out[f"logistic-cv-{kind}"] = lambda y=y: (lm.LogisticRegressionCV(Cs=3, cv=3, max_iter=300), X / 5, y)
        for loss in ("hinge", "log", "log_loss", "modified_huber", "squared_hinge", "perceptron", "huber"):
            out[f"sgd-{loss}-{kind}"] = lambda y=y, loss=loss: (
                lm.SGDClassifier(loss=loss, alpha=0.01, random_state=2), X / 5, y)
    labels = np.column_stack([BINARY, (THREE == 1).astype(int)])
    out["ridge-classifier-multilabel"] = lambda: (lm.RidgeClassifier(), X, labels)
    return out
