"""Kernel machines, outlier detectors, clusters and neighbourhoods."""

import numpy as np
from sklearn import cluster as cl, covariance as cv, cross_decomposition as cd, gaussian_process as gp, isotonic as iso
from sklearn import kernel_ridge as kr, linear_model as lm, mixture as mi, neighbors as ne, semi_supervised as ss
from sklearn.gaussian_process import kernels as ke
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from .data import BINARY, FOUR, NAMES, SCORE, TWO, X

SMALL = X / np.array([1, 3, 0.5, 20, 1])
FAR = np.vstack([SMALL[50:58], SMALL[58:62] * 3])
PART = np.where(np.arange(len(BINARY)) % 3 == 0, -1, BINARY)
PART4 = np.where(np.arange(len(FOUR)) % 3 == 0, -1, FOUR)


def models():
    out = {
        "ridge-two": lambda: (kr.KernelRidge(kernel="rbf", gamma=0.2), SMALL[:40], TWO[:40]),
        "lof": lambda: (ne.LocalOutlierFactor(novelty=True), SMALL[:50], None, FAR),
        "lof-brute": lambda: (ne.LocalOutlierFactor(
            n_neighbors=7, novelty=True, contamination=0.2, metric="manhattan", algorithm="brute"), SMALL[:50], None, FAR),
        "lof-many": lambda: (ne.LocalOutlierFactor(n_neighbors=70, novelty=True), SMALL[:50], None, FAR),
        "envelope": lambda: (cv.EllipticEnvelope(random_state=0, contamination=0.2), SMALL, None, FAR),
        "envelope-centred": lambda: (cv.EllipticEnvelope(random_state=0, assume_centered=True), SMALL, None, FAR),
        "radius": lambda: (ne.RadiusNeighborsClassifier(1.9, weights="distance", outlier_label="iris"), SMALL[:50], NAMES[:50], FAR),
        "radius-frequent": lambda: (ne.RadiusNeighborsClassifier(1.2, outlier_label="most_frequent"), SMALL[:50], FOUR[:50], FAR),
        "radius-wide": lambda: (ne.RadiusNeighborsClassifier(30.0, metric="chebyshev"), SMALL[:50], BINARY[:50], FAR),
        "radius-reg": lambda: (ne.RadiusNeighborsRegressor(1.5), SMALL[:50], SCORE[:50], FAR),
        "radius-reg-two": lambda: (ne.RadiusNeighborsRegressor(30.0, weights="distance"), SMALL[:50], TWO[:50], SMALL[45:57]),
        "isotonic": lambda: (iso.IsotonicRegression(out_of_bounds="clip"), X[:, :1], SCORE, X[:12, :1] * 2),
        "isotonic-falling": lambda: (iso.IsotonicRegression(increasing=False), X[:, :1], SCORE, X[:12, :1] * 1.2),
        "isotonic-bounds": lambda: (iso.IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip"), X[:, :1], SCORE, X[:12, :1]),
        "cca": lambda: (cd.CCA(1), X, TWO),
        "pls-canonical-nipals": lambda: (cd.PLSCanonical(1, scale=False), X, TWO),
        "birch": lambda: (cl.Birch(threshold=0.8, n_clusters=4), SMALL, None),
        "birch-none": lambda: (cl.Birch(threshold=1.5, n_clusters=None), SMALL, None),
        "mean-shift": lambda: (cl.MeanShift(bandwidth=2.0), SMALL, None),
        "affinity": lambda: (cl.AffinityPropagation(random_state=0), SMALL[:40], None),
        "bisecting": lambda: (cl.BisectingKMeans(4, random_state=0), SMALL, None),
        "bisecting-largest": lambda: (cl.BisectingKMeans(
            5, random_state=1, bisecting_strategy="largest_cluster", algorithm="elkan"), SMALL, None),
        "clusters-then": lambda: (make_pipeline(StandardScaler(), cl.KMeans(3, n_init=1, random_state=0), lm.Ridge()), X, SCORE),
        "clusters-beside": lambda: (make_union(StandardScaler(), cl.KMeans(3, n_init=1, random_state=0)), X, None),
        "birch-then": lambda: (make_pipeline(cl.Birch(threshold=1.2), lm.Ridge()), SMALL, SCORE),
        "spreading": lambda: (ss.LabelSpreading(gamma=2), SMALL, PART),
        "spreading-four": lambda: (ss.LabelSpreading(kernel="knn", n_neighbors=5), SMALL, PART4),
        "propagation": lambda: (ss.LabelPropagation(gamma=3), SMALL, PART4),
        "self-training": lambda: (ss.SelfTrainingClassifier(lm.LogisticRegression()), SMALL, PART),
    }
    for kernel in ("linear", "poly", "rbf", "sigmoid", "laplacian", "cosine"):
        out[f"ridge-{kernel}"] = lambda k=kernel: (kr.KernelRidge(alpha=0.4, kernel=k), SMALL[:40], SCORE[:40], FAR)
    for kind in ("full", "tied", "diag", "spherical"):
        for prior in ("dirichlet_process", "dirichlet_distribution"):
            out[f"bayesian-{kind}-{prior}"] = lambda k=kind, p=prior: (mi.BayesianGaussianMixture(
                n_components=3, covariance_type=k, weight_concentration_prior_type=p, max_iter=300, random_state=0), SMALL, None)
    for name, kernel in {
        "default": None, "white": ke.ConstantKernel(2.0) * ke.RBF(1.5) + ke.WhiteKernel(0.2),
        "power": ke.DotProduct(0.7) ** 2 + ke.WhiteKernel(0.1), "matern": ke.Matern(1.3, nu=1.5),
    }.items():
        for kind, y in {"binary": BINARY, "names": NAMES}.items():
            out[f"process-{name}-{kind}"] = lambda k=kernel, y=y: (
                gp.GaussianProcessClassifier(k, optimizer=None, random_state=0), SMALL[:30], y[:30], SMALL[25:37])
    out["process-pairs"] = lambda: (gp.GaussianProcessClassifier(
        optimizer=None, multi_class="one_vs_one", random_state=0), SMALL[:30], NAMES[:30], SMALL[25:37])
    return out
