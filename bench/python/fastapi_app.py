"""The leanest FastAPI service for a model: orjson in and out, the model called in the event loop."""

import os
import pickle

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response

app = FastAPI()
with open(os.environ["MODEL_PATH"], "rb") as file:
    model = pickle.load(file)


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.post("/predict")
async def predict(request: Request):
    body = orjson.loads(await request.body())
    labels = model.predict(np.array([body["x"]]))
    return Response(orjson.dumps({"prediction": labels.tolist()}), media_type="application/json")
