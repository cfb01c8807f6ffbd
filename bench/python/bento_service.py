"""A BentoML service for a model: an API of a numpy array, as its documentation has it."""

import os
import pickle

import bentoml
import numpy as np


@bentoml.service(
    workers=int(os.environ["BENTO_WORKERS"]),
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
class Predictor:
    def __init__(self):
        with open(os.environ["MODEL_PATH"], "rb") as file:
            self.model = pickle.load(file)

    @bentoml.api
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x)
