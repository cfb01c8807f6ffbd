"""One model in several formats."""

import pickle

import joblib


def dumped(save, name, estimator, rows):
    for p in (0, 2, 3, 5):
        save(f"{name}.p{p}", estimator, rows, lambda path, p=p: path.write_bytes(pickle.dumps(estimator, protocol=p)),
             fmt=f"pickle protocol {p}")
    for compress in (0, 3):
        save(f"{name}.joblib{compress}", estimator, rows, lambda path, c=compress: joblib.dump(estimator, path, compress=c),
             "joblib", f"joblib {'zlib' if compress else 'plain'}")
