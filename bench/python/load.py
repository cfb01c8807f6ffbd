"""Loads a model file and says how long that took and how much memory it needed at most, beyond the libraries'."""

import json
import pickle
import resource
import sys
import time

import joblib
import sklearn.ensemble  # noqa: F401  so that importing it is not counted


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


before, start = peak(), time.perf_counter()
if sys.argv[1].endswith(".joblib"):
    model = joblib.load(sys.argv[1])
else:
    with open(sys.argv[1], "rb") as file:
        model = pickle.load(file)
print(json.dumps({"seconds": time.perf_counter() - start, "bytes": peak() - before}))
