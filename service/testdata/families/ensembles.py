"""Bagging, voting and stacking."""

from sklearn import ensemble as en, linear_model as lm, tree as tr
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .data import BINARY, FOUR, HOLES, NAMES, SCORE, THREE, TWO, X


def classifiers():
    return [("lr", lm.LogisticRegression(max_iter=200)), ("tree", tr.DecisionTreeClassifier(max_depth=3, random_state=0)),
            ("scaled", make_pipeline(StandardScaler(), lm.LogisticRegression()))]


def deciders():
    return [("svc", lm.RidgeClassifier()), ("sgd", lm.SGDClassifier(random_state=0)),
            ("tree", tr.DecisionTreeClassifier(max_depth=3, random_state=0))]


def regressors():
    return [("lr", lm.LinearRegression()), ("tree", tr.DecisionTreeRegressor(max_depth=3, random_state=0))]


def models():
    out = {
        "bagging-reg": lambda: (en.BaggingRegressor(n_estimators=4, random_state=0), X[:50], SCORE[:50]),
        "bagging-reg-features": lambda: (
            en.BaggingRegressor(lm.Ridge(), n_estimators=4, max_features=3, random_state=0), X, SCORE),
        "bagging-reg-bootstrap": lambda: (en.BaggingRegressor(
            lm.Ridge(), n_estimators=4, max_features=4, bootstrap_features=True, random_state=0), X, SCORE),
        "bagging-two": lambda: (en.BaggingRegressor(lm.Ridge(), n_estimators=3, random_state=0), X, TWO),
        "bagging-missing": lambda: (
            en.BaggingClassifier(tr.DecisionTreeClassifier(max_depth=3), n_estimators=3, random_state=0), HOLES, NAMES),
        "voting-reg": lambda: (en.VotingRegressor(regressors()), X, SCORE),
        "voting-reg-weights": lambda: (en.VotingRegressor(regressors(), weights=[1, 3]), X, SCORE),
        "stacking-reg": lambda: (en.StackingRegressor(regressors(), cv=3), X, SCORE),
        "stacking-reg-through": lambda: (en.StackingRegressor(
            regressors() + [("no", "drop")], final_estimator=lm.LinearRegression(), passthrough=True, cv=3), X, SCORE),
    }
    for kind, y in {"binary": BINARY, "names": NAMES, "four": FOUR, "three": THREE}.items():
        out[f"bagging-{kind}"] = lambda y=y: (en.BaggingClassifier(
            tr.DecisionTreeClassifier(max_depth=3), n_estimators=4, max_samples=0.2, random_state=0), X, y)
        out[f"bagging-lr-{kind}"] = lambda y=y: (en.BaggingClassifier(
            lm.LogisticRegression(), n_estimators=3, max_features=3, random_state=1), X, y)
        out[f"bagging-votes-{kind}"] = lambda y=y: (en.BaggingClassifier(
            lm.RidgeClassifier(), n_estimators=5, max_features=0.7, random_state=1), X, y)
        out[f"voting-hard-{kind}"] = lambda y=y: (en.VotingClassifier(classifiers()), X, y)
        out[f"voting-hard-weights-{kind}"] = lambda y=y: (en.VotingClassifier(deciders(), weights=[1, 2, 1.5]), X, y)
        out[f"voting-soft-{kind}"] = lambda y=y: (
            en.VotingClassifier(classifiers() + [("no", "drop")], voting="soft", weights=[1, 2, 0.5, 9]), X, y)
        out[f"stacking-{kind}"] = lambda y=y: (en.StackingClassifier(classifiers(), cv=3), X, y)
        out[f"stacking-deciders-{kind}"] = lambda y=y: (en.StackingClassifier(
            deciders(), final_estimator=tr.DecisionTreeClassifier(max_depth=3, random_state=0), passthrough=True, cv=3), X, y)
        out[f"stacking-predict-{kind}"] = lambda y=y: (
            en.StackingClassifier(classifiers(), cv=3, stack_method="predict"), X, y)
    return out
