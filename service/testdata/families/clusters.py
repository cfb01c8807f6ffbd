"""Clusters, mixtures, networks and Gaussian processes."""

import numpy as np
from sklearn import cluster as cl, cross_decomposition as cd, dummy as du, gaussian_process as gp, mixture as mi
from sklearn import neural_network as nn
from sklearn.gaussian_process import kernels as ke
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import BINARY, FOUR, NAMES, SCORE, THREE, TWO, X

SMALL = X / np.array([1, 3, 0.5, 20, 1])
LABELS = np.column_stack([BINARY, (THREE == 1).astype(int), (THREE == 0).astype(int)])


def models():
    out = {
        "kmeans": lambda: (cl.KMeans(4, n_init=2, random_state=0), SMALL, None),
        "minibatch": lambda: (cl.MiniBatchKMeans(3, n_init=2, batch_size=30, random_state=0), SMALL, None),
        "kmeans-pipeline": lambda: (make_pipeline(StandardScaler(), cl.KMeans(3, n_init=2, random_state=0)), X, None),
        "pls": lambda: (cd.PLSRegression(2), X, SCORE),
        "pls-two": lambda: (cd.PLSRegression(3, scale=False), X, TWO),
        "pls-canonical": lambda: (cd.PLSCanonical(2), X, TWO),
        "dummy-mean": lambda: (make_pipeline(StandardScaler(), du.DummyRegressor()), X, SCORE),
        "dummy-quantile": lambda: (make_pipeline(StandardScaler(), du.DummyRegressor(strategy="quantile", quantile=0.3)), X, SCORE),
        "dummy-prior": lambda: (make_pipeline(StandardScaler(), du.DummyClassifier(strategy="prior")), X, NAMES),
        "dummy-frequent": lambda: (make_pipeline(StandardScaler(), du.DummyClassifier(strategy="most_frequent")), X, FOUR),
        "dummy-constant": lambda: (make_pipeline(
            StandardScaler(), du.DummyClassifier(strategy="constant", constant="rose")), X, NAMES),
        "mlp-labels": lambda: (nn.MLPClassifier((4,), max_iter=30, random_state=0), SMALL, LABELS),
        "mlp-two": lambda: (nn.MLPRegressor(hidden_layer_sizes=(4, 3), max_iter=30, random_state=0), SMALL, TWO),
    }
    for kind in ("full", "tied", "diag", "spherical"):
        out[f"mixture-{kind}"] = lambda k=kind: (
            mi.GaussianMixture(3, covariance_type=k, random_state=0), SMALL, None)
    for activation in ("identity", "logistic", "tanh", "relu"):
        out[f"mlp-{activation}"] = lambda a=activation: (
            nn.MLPClassifier((5, 3), activation=a, max_iter=40, random_state=0), SMALL, NAMES)
        out[f"mlp-{activation}-binary"] = lambda a=activation: (
            nn.MLPClassifier((4,), activation=a, max_iter=40, random_state=0), SMALL, BINARY)
        out[f"mlp-{activation}-reg"] = lambda a=activation: (
            nn.MLPRegressor(hidden_layer_sizes=(4,), activation=a, max_iter=40, random_state=0), SMALL, SCORE)
    for name, kernel in {
        "default": None, "rbf": ke.RBF(1.3), "sum": ke.ConstantKernel(2.0) * ke.RBF([1, 2, 1, 3, 1]) + ke.WhiteKernel(0.3),
        "matern": ke.Matern(1.2, nu=1.5) + ke.DotProduct(0.5), "matern-half": ke.Matern(nu=0.5),
        "matern-five": ke.Matern(nu=2.5), "quadratic": ke.RationalQuadratic(1.1, 0.7) + ke.WhiteKernel(0.1),
        "power": ke.DotProduct(1.0) ** 2 + ke.WhiteKernel(1.0),
    }.items():
        out[f"process-{name}"] = lambda k=kernel: (
            gp.GaussianProcessRegressor(k, alpha=1e-3, optimizer=None, normalize_y=name == "sum"), SMALL[:30], SCORE[:30],
            SMALL[25:37])
    return out
