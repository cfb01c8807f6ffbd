"""Talks to an inference server as users of Triton's and of MLServer's client libraries do.

    client.py <model> <version> http://127.0.0.1:8080...

The models take rows of numbers. What a server's own /predict says is taken as right. Each method is one test; the
script prints their names, and ends with an error at the first that fails.
"""

import sys

import numpy as np
import pandas as pd
import requests
import tritonclient.http as triton
from jsonschema import Draft202012Validator
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, RequestOutput
from openapi_spec_validator import validate
from tritonclient.utils import InferenceServerException

MODEL, VERSION = sys.argv[1:3]
MEMBERS = {"predict_proba": "probabilities", "decision_function": "decision"}


def equal(got, want):
    assert got.shape == want.shape, (got.shape, want.shape)
    if got.dtype == object:  # texts of Triton's client are bytes
        got = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v)(got)
    if want.dtype.kind == "f":
        np.testing.assert_allclose(got.astype(float), want, rtol=1e-12)
    else:
        assert (got == want).all(), (got, want)


class Server:
    def __init__(self, url):
        self.url = url
        self.client = triton.InferenceServerClient(url.removeprefix("http://"))
        self.meta = self.client.get_model_metadata(MODEL)
        self.outputs = {o["name"]: o for o in self.meta["outputs"]}
        self.first = self.meta["outputs"][0]["name"]
        self.names = [i["name"] for i in self.meta["inputs"]] if len(self.meta["inputs"]) > 1 else None
        self.width = len(self.names) if self.names else self.meta["inputs"][0]["shape"][1]
        self.x = np.random.default_rng(0).normal(3, 2, (17, self.width))

    def expected(self, x, output):
        """What /predict says for rows."""
        member = MEMBERS.get(output)
        body = {"x": x.tolist()} | ({member: True} if member else {})
        answer = requests.post(f"{self.url}/predict", json=body, timeout=30)
        answer.raise_for_status()
        return np.array(answer.json()[member or "prediction"]).reshape(len(x), -1)

    def test_openapi(self):
        document = requests.get(f"{self.url}/openapi.json", timeout=30).json()
        validate(document)
        schemas = document["components"]["schemas"]

        def check(name, value):
            schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
            Draft202012Validator(schema).validate(value)

        for path, request, answer in (
            ("predict", "Request", "Prediction"), (f"v2/models/{MODEL}/infer", "InferenceRequest", "InferenceAnswer"),
        ):
            for example in schemas[request]["examples"]:
                check(request, example)
                check(answer, requests.post(f"{self.url}/{path}", json=example, timeout=30).json())
        options = {"probabilities": "predict_proba" in self.outputs, "decision": "decision_function" in self.outputs}
        request = {"x": self.x.tolist()} | options
        check("Request", request)
        check("Prediction", requests.post(f"{self.url}/predict", json=request, timeout=30).json())
        check("Health", requests.get(f"{self.url}/health", timeout=30).json())
        check("Metadata", self.meta)

    def test_server(self):
        assert self.client.is_server_live() and self.client.is_server_ready()
        assert self.client.is_model_ready(MODEL) and self.client.is_model_ready(MODEL, VERSION)
        assert not self.client.is_model_ready("no-such-model") and not self.client.is_model_ready(MODEL, "0")
        assert "binary_tensor_data" in self.client.get_server_metadata()["extensions"]
        assert self.meta["name"] == MODEL and self.meta["versions"] == [VERSION]
        MetadataModelResponse.model_validate(self.meta)

    def triton_infer(self, x, datatype, binary, **more):
        tensor = triton.InferInput("x", x.shape, datatype)
        tensor.set_data_from_numpy(x, binary_data=binary)
        return self.client.infer(MODEL, [tensor], **more)

    def test_triton_datatypes(self):
        whole = np.abs(np.round(self.x))
        for binary in (True, False):
            for datatype, dtype in {
                "FP64": "f8", "FP32": "f4", "FP16": "f2", "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8",
                "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "BOOL": "?",
            }.items():
                if datatype == "FP16" and not binary:
                    continue  # Triton's client can't
                x = (self.x if datatype.startswith("FP") else whole).astype(dtype)
                result = self.triton_infer(x, datatype, binary)
                first = self.first
                equal(result.as_numpy(first), self.expected(x.astype(float), first))

    def test_triton_outputs(self):
        for name in self.outputs:
            for binary in (True, False):
                asked = [triton.InferRequestedOutput(name, binary_data=binary)]
                result = self.triton_infer(self.x, "FP64", True, outputs=asked, model_version=VERSION, request_id="id-1")
                equal(result.as_numpy(name), self.expected(self.x, name))
                answer = result.get_response()
                assert answer["id"] == "id-1" and len(answer["outputs"]) == 1, answer
                assert answer["outputs"][0]["datatype"] == self.outputs[name]["datatype"]
        asked = [triton.InferRequestedOutput(name) for name in reversed(self.outputs)]
        result = self.triton_infer(self.x, "FP64", True, outputs=asked)
        assert [o["name"] for o in result.get_response()["outputs"]] == list(reversed(self.outputs))

    def test_triton_columns(self):
        if self.names is None:
            return
        tensors = []
        for i, name in reversed(list(enumerate(self.names))):
            tensors.append(triton.InferInput(name, [len(self.x), 1], "FP64"))
            tensors[-1].set_data_from_numpy(self.x[:, i : i + 1], binary_data=i % 2 == 0)
        first = self.first
        equal(self.client.infer(MODEL, tensors).as_numpy(first), self.expected(self.x, first))

    def test_triton_errors(self):
        for asked, x, model, status in (
            ([triton.InferRequestedOutput("none")], self.x, MODEL, "400"),
            (None, self.x[:, :-1], MODEL, "400"),
            (None, self.x, "no-such-model", "404"),
        ):
            tensor = triton.InferInput("x", x.shape, "FP64")
            tensor.set_data_from_numpy(np.ascontiguousarray(x))
            try:
                self.client.infer(model, [tensor], outputs=asked)
            except InferenceServerException as e:
                assert e.status() == status and e.message(), e
            else:
                raise AssertionError(f"{model} answers {asked}")

    def mlserver_infer(self, request):
        answer = requests.post(f"{self.url}/v2/models/{MODEL}/infer", data=request.model_dump_json(exclude_none=True),
                               headers={"Content-Type": "application/json"}, timeout=30)
        assert answer.status_code == 200, answer.text
        return InferenceResponse.model_validate_json(answer.text)

    def test_mlserver_numpy(self):
        request = NumpyRequestCodec.encode_request(self.x)
        request.outputs = [RequestOutput(name=name) for name in self.outputs]
        response = self.mlserver_infer(request)
        assert response.model_name == MODEL and response.model_version == VERSION and response.id
        for output in response.outputs:
            equal(NumpyCodec.decode_output(output), self.expected(self.x, output.name))
        request = InferenceRequest(id="mine", inputs=[NumpyCodec.encode_input("anything", self.x)])
        response = self.mlserver_infer(request)
        assert response.id == "mine" and [o.name for o in response.outputs] == [self.first]

    def test_mlserver_pandas(self):
        frame = pd.DataFrame(self.x, columns=self.names or [f"column-{i}" for i in range(self.width)])
        response = self.mlserver_infer(PandasCodec.encode_request(frame))
        equal(NumpyCodec.decode_output(response.outputs[0]), self.expected(self.x, response.outputs[0].name))


if __name__ == "__main__":
    for url in sys.argv[3:]:
        server = Server(url)
        for name in dir(server):
            if name.startswith("test_"):
                print(url, name, flush=True)
                getattr(server, name)()
        server.client.close()
