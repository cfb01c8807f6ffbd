"""Runs one library's predictions for the benchmark: a request is a line of JSON on standard input, as is its answer."""

import json
import pickle
import sys
import time

import numpy as np

model_path, rows_path = sys.argv[1:3]
with open(model_path, "rb") as file:
    model = pickle.load(file)
x = np.fromfile(rows_path, "<f8").reshape(-1, 20)
kind = type(model).__module__.split(".")[0]


def predictor(threads):
    """A function of rows that gives probabilities, by the library's own fastest way from a numpy array."""
    if kind == "xgboost":
        booster = model.get_booster()
        booster.set_param({"nthread": threads})
        return booster.inplace_predict
    if kind == "lightgbm":
        booster = model.booster_
        return lambda rows: booster.predict(rows, num_threads=threads)
    model.n_jobs = threads
    return model.predict_proba


for line in sys.stdin:
    request = json.loads(line)
    predict, n = predictor(request["threads"]), request["rows"]
    predict(x[:n])
    calls, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < request["seconds"]:
        at = calls * n * 37 % (len(x) - n + 1)
        predict(x[at : at + n])
        calls += 1
    first = np.asarray(predict(x[:1])).ravel()[-1]
    print(json.dumps({"seconds": spent / calls, "answer": float(first)}), flush=True)
