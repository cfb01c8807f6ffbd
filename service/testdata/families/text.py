"""Texts: vectorizers, and what is fitted behind them."""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction import text as tx
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import LinearSVC

from ._dumps import dumped
from .data import RNG, THREE

WORDS = """the a of and to in is it cat dog house garden tree flower rose tulip red green blue small large quick slow runs
sleeps eats likes sees near under over quickly 2 42 3.14 x don't e-mail naïve café Ærøskøbing straße İstanbul ΟΔΟΣ Σ ΑΣ'Σ
Москва Київ 東京 北京大学 हिन्दी عربى ﬁne ½ Ⅻ a_b _ __init__ UPPER Mixed ÀÉÎ ß""".split()
SEPARATORS = [" ", " ", " ", "  ", ", ", ". ", "\t", "\n\n", " - ", "\u00a0", "\u2003 ", "!"]


def sentence(n):
    return "".join(w + SEPARATORS[RNG.randint(len(SEPARATORS))] for w in RNG.choice(WORDS, n)) if n else ""


DOCS = [sentence(RNG.randint(4, 14)) + " " + " ".join(RNG.choice(["cat dog", "house tree", "red rose"][k].split(), 3))
        for k in THREE]
ASK = DOCS[:8] + ["", "   ", "Unknown words only: zzz", "cat", "the", "Cat CAT cat. Dog-dog ROSE's", "x" * 300, "ΟΔΟΣ ΟΔΟΣ. Σ",
                  "İI ǅ ﬁ Å", "a\u0301 e\u0301\u0301 \u1e9b\u0323", "dog\x1ccat\x85tree\u2028house", "١٢٣ ²³ ④ 〇", "😀 cat😀dog"]


def fitted(estimator, y=THREE):
    return lambda: (estimator, DOCS, y, ASK)


def models():
    count, tfidf, hashing = tx.CountVectorizer, tx.TfidfVectorizer, tx.HashingVectorizer
    out = {
        "count": fitted(count(), None),
        "count-bigrams": fitted(count(ngram_range=(1, 2), min_df=2), None),
        "count-trigrams": fitted(count(ngram_range=(2, 3), max_features=60), None),
        "count-char": fitted(count(analyzer="char", ngram_range=(1, 3), max_features=200), None),
        "count-char-long": fitted(count(analyzer="char", ngram_range=(2, 5), max_features=150), None),
        "count-char-wb": fitted(count(analyzer="char_wb", ngram_range=(2, 6), max_features=200), None),
        "count-char-wb-one": fitted(count(analyzer="char_wb", ngram_range=(1, 1)), None),
        "count-case": fitted(count(lowercase=False), None),
        "count-ascii": fitted(count(strip_accents="ascii"), None),
        "count-unicode": fitted(count(strip_accents="unicode", analyzer="char", ngram_range=(1, 2)), None),
        "count-binary": fitted(count(binary=True), None),
        "count-english": fitted(count(stop_words="english", ngram_range=(1, 2)), None),
        "count-stop": fitted(count(stop_words=["the", "cat", "a"], ngram_range=(1, 3), max_features=100), None),
        "count-df": fitted(count(max_df=0.5, min_df=3), None),
        "count-vocabulary": fitted(count(vocabulary={"cat": 2, "dog": 0, "red rose": 1}, ngram_range=(1, 2)), None),
        "count-vocabulary-list": fitted(count(vocabulary=["rose", "tree", "café"]), None),
        "count-int": fitted(count(dtype=np.int32), None),
        "tfidf": fitted(tfidf(), None),
        "tfidf-l1": fitted(tfidf(norm="l1", sublinear_tf=True), None),
        "tfidf-plain": fitted(tfidf(norm=None, smooth_idf=False), None),
        "tfidf-tf": fitted(tfidf(use_idf=False), None),
        "tfidf-binary": fitted(tfidf(binary=True, ngram_range=(1, 2), sublinear_tf=True), None),
        "tfidf-float32": fitted(tfidf(dtype=np.float32), None),
        "tfidf-char": fitted(tfidf(analyzer="char_wb", ngram_range=(3, 4), max_features=120), None),
        "hashing": fitted(hashing(n_features=64), None),
        "hashing-unsigned": fitted(hashing(n_features=50, alternate_sign=False, norm="l1", ngram_range=(1, 2)), None),
        "hashing-plain": fitted(hashing(n_features=31, norm=None), None),
        "hashing-binary": fitted(hashing(n_features=16, binary=True, norm=None), None),
        "hashing-char": fitted(hashing(n_features=97, analyzer="char", ngram_range=(1, 4), stop_words=None), None),
        "hashing-english": fitted(hashing(n_features=40, stop_words="english"), None),
        "count-tfidf": fitted(make_pipeline(count(), tx.TfidfTransformer(sublinear_tf=True)), None),
        "hashing-tfidf": fitted(make_pipeline(hashing(n_features=50, norm=None, alternate_sign=False), tx.TfidfTransformer()), None),
        "tfidf-transformer": lambda: (tx.TfidfTransformer(), np.abs(RNG.poisson(1, (20, 7))), None,
                                      np.abs(RNG.poisson(1, (9, 7)))),
        "logistic": fitted(make_pipeline(count(), LogisticRegression(max_iter=500)), np.array(["cat", "tree", "rose"])[THREE]),
        "logistic-binary": fitted(make_pipeline(tfidf(), LogisticRegression()), THREE > 0),
        "logistic-hashing": fitted(make_pipeline(hashing(n_features=2**12), LogisticRegression())),
        "regression": fitted(make_pipeline(tfidf(), LinearRegression()), THREE * 1.5),
        "sgd": fitted(make_pipeline(tfidf(ngram_range=(1, 2)), SGDClassifier(random_state=0))),
        "svc": fitted(make_pipeline(tfidf(), LinearSVC(random_state=0))),
        "ridge": fitted(make_pipeline(tfidf(), RidgeClassifier())),
        "multinomial": fitted(make_pipeline(count(), tx.TfidfTransformer(), MultinomialNB())),
        "complement": fitted(make_pipeline(count(), ComplementNB())),
        "bernoulli": fitted(make_pipeline(count(), BernoulliNB())),
        "bernoulli-threshold": fitted(make_pipeline(count(), BernoulliNB(binarize=1.0))),
        "calibrated": fitted(make_pipeline(tfidf(), CalibratedClassifierCV(LinearSVC(random_state=0), cv=2))),
        "rest-pipelines": fitted(OneVsRestClassifier(make_pipeline(tfidf(), LogisticRegression()))),
        "outputs-pipelines": fitted(MultiOutputClassifier(make_pipeline(tfidf(), LogisticRegression())),
                                    np.column_stack([THREE, THREE > 0])),
        "outputs": fitted(make_pipeline(tfidf(), MultiOutputClassifier(LogisticRegression())), np.column_stack([THREE, THREE > 0])),
        "rest": fitted(make_pipeline(tfidf(), OneVsRestClassifier(LogisticRegression()))),
        "voting": fitted(make_pipeline(tfidf(), VotingClassifier([("a", LogisticRegression()), ("b", MultinomialNB())],
                                                                  voting="soft"))),
        "voting-pipelines": fitted(VotingClassifier([
            ("a", make_pipeline(count(), LogisticRegression(max_iter=500))), ("b", make_pipeline(tfidf(), MultinomialNB()))])),
        "grid": fitted(GridSearchCV(make_pipeline(tfidf(), LogisticRegression()),
                                    {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)]}, cv=2)),
        "forest": fitted(make_pipeline(tfidf(), RandomForestClassifier(5, random_state=0))),
        "select": fitted(make_pipeline(tfidf(), SelectKBest(chi2, k=20), LogisticRegression())),
        "svd": fitted(make_pipeline(tfidf(), TruncatedSVD(5, random_state=0), LogisticRegression())),
        "svd-only": fitted(make_pipeline(tfidf(), TruncatedSVD(4, random_state=0)), None),
        "maxabs": fitted(make_pipeline(count(), MaxAbsScaler(), LogisticRegression())),
        "scaled": fitted(make_pipeline(count(), StandardScaler(with_mean=False), LogisticRegression())),
        "union": fitted(make_union(tfidf(), count(analyzer="char", ngram_range=(2, 2), max_features=50)), None),
        "union-logistic": fitted(make_pipeline(make_union(tfidf(), make_pipeline(
            count(analyzer="char"), TruncatedSVD(3, random_state=0))), LogisticRegression())),
    }
    patterns = {
        "words": r"(?u)\b\w+\b", "plain": r"\w+", "least": r"\w{3,}", "letters": r"[a-zA-Z]+", "bound": r"\b[a-zA-Z]{2,}\b",
        "no-digits": r"(?u)\b[^\d\W]+\b", "no-space": r"\S+", "not-space": r"[^\s]+", "quoted": r"[\w']+", "dashed": r"\w+(?:-\w+)?",
        "group": r"(\w)\w*", "either": r"\w+|[^\w\s]", "digits": r"\d+", "exact": r"\w\w\w", "lazy": r"\w\w+?",
    }
    for name, pattern in patterns.items():
        out[f"pattern-{name}"] = fitted(count(token_pattern=pattern), None)
    return out


FLOAT32 = {"tfidf-float32"}


def extra(save):
    """Formats that hold other forms of what text models consist of."""
    for name, build in {"tfidf": models()["logistic"], "hashing": models()["logistic-hashing"]}.items():
        estimator, x, y, rows = build()
        dumped(save, f"format-{name}", estimator.fit(x, y), rows)
