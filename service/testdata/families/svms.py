"""Support vector machines, and classifiers made of several."""

import numpy as np
from sklearn import calibration as ca, ensemble as en, linear_model as lm, multiclass as mc, multioutput as mo, svm
from sklearn import tree as tr

from .data import BINARY, FOUR, NAMES, PAIRS, SCORE, THREE, TWO, X

SMALL = X / np.array([1, 3, 0.5, 20, 1])


def models():
    out = {
        "oneclass": lambda: (svm.OneClassSVM(nu=0.2), SMALL, None),
        "oneclass-poly": lambda: (svm.OneClassSVM(kernel="poly", nu=0.3), SMALL, None),
        "svc-probability-four": lambda: (svm.SVC(probability=True, random_state=0, C=2), SMALL, FOUR),
        "svc-probability-names": lambda: (svm.SVC(probability=True, random_state=0), SMALL, NAMES),
        "svc-probability-binary": lambda: (svm.SVC(kernel="linear", probability=True, random_state=0), SMALL, BINARY),
        "nusvc-probability": lambda: (svm.NuSVC(nu=0.3, probability=True, random_state=0), SMALL, NAMES),
        "svc-ovo": lambda: (svm.SVC(decision_function_shape="ovo"), SMALL, FOUR),
        "svc-ties": lambda: (svm.SVC(break_ties=True), SMALL, FOUR),
        "multi-regressor": lambda: (mo.MultiOutputRegressor(lm.Ridge()), X, TWO),
        "multi-classifier": lambda: (mo.MultiOutputClassifier(lm.LogisticRegression(max_iter=300)), X, PAIRS),
        "multi-forest": lambda: (mo.MultiOutputClassifier(tr.DecisionTreeClassifier(max_depth=3)), X, PAIRS),
        "ovr-ties": lambda: (mc.OneVsRestClassifier(tr.DecisionTreeClassifier(max_depth=1)), X, NAMES, X[:40]),
        "ovr-forest": lambda: (mc.OneVsRestClassifier(tr.DecisionTreeClassifier(max_depth=3)), X, NAMES),
    }
    for kind, y in {"binary": BINARY, "names": NAMES, "four": FOUR}.items():
        for kernel in ("linear", "poly", "rbf", "sigmoid"):
            out[f"svc-{kernel}-{kind}"] = lambda y=y, k=kernel: (svm.SVC(kernel=k, C=1.5, coef0=0.3, degree=2), SMALL, y)
        out[f"nusvc-{kind}"] = lambda y=y: (svm.NuSVC(nu=0.25, gamma="auto"), SMALL, y)
        out[f"ovr-{kind}"] = lambda y=y: (mc.OneVsRestClassifier(lm.LogisticRegression()), X, y)
        out[f"ovr-svc-{kind}"] = lambda y=y: (mc.OneVsRestClassifier(svm.LinearSVC(max_iter=5000)), X, y)
        out[f"ovo-{kind}"] = lambda y=y: (mc.OneVsOneClassifier(lm.LogisticRegression()), X, y)
        out[f"ovo-tree-{kind}"] = lambda y=y: (mc.OneVsOneClassifier(tr.DecisionTreeClassifier(max_depth=3)), X, y)
        out[f"codes-{kind}"] = lambda y=y: (mc.OutputCodeClassifier(lm.LogisticRegression(), code_size=2, random_state=1), X, y)
        for method in ("sigmoid", "isotonic"):
            out[f"calibrated-{method}-{kind}"] = lambda y=y, m=method: (
                ca.CalibratedClassifierCV(lm.LogisticRegression(), method=m, cv=3), X, y)
            out[f"calibrated-svc-{method}-{kind}"] = lambda y=y, m=method: (
                ca.CalibratedClassifierCV(svm.LinearSVC(max_iter=5000), method=m, cv=2), X, y)
        out[f"calibrated-whole-{kind}"] = lambda y=y: (
            ca.CalibratedClassifierCV(en.RandomForestClassifier(3, max_depth=3, random_state=0), cv=2, ensemble=False), X, y)
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        out[f"svr-{kernel}"] = lambda k=kernel: (svm.SVR(kernel=k, coef0=0.2), SMALL, SCORE)
        out[f"nusvr-{kernel}"] = lambda k=kernel: (svm.NuSVR(kernel=k, gamma=0.3, nu=0.4), SMALL, SCORE)
    return out
