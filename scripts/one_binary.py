"""From upload to documents with the binary beside this file and Python's standard library alone."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BINARY = str(HERE / "mixpeek")

PLUGIN = {
    "manifest.py": '''
from pydantic import BaseModel

class MyInput(BaseModel):
    text: str

class MyOutput(BaseModel):
    label: str

metadata = {"feature_extractor_name": "lengths", "version": "1.0.0", "description": "Lengths", "category": "text"}
input_schema = MyInput
output_schema = MyOutput
supported_input_types = ["text"]
features = [{"feature_name": "lengths_embedding", "feature_type": "embedding", "embedding_dim": 2, "distance_metric": "cosine"}]
''',
    "pipeline.py": '''
from engine.plugins.extractors.pipeline import PipelineDefinition, ResourceType, RowCondition, StepDefinition, build_pipeline_steps
from .manifest import metadata
from .processors.core import Lengths

def build_steps(extractor_request, container=None, base_steps=None, **kwargs):
    steps = [StepDefinition(service_class=Lengths, resource_type=ResourceType.CPU, config=None, condition=RowCondition.IS_TEXT)]
    pipeline = PipelineDefinition(name=metadata["feature_extractor_name"], version=metadata["version"], steps=steps)
    return {"steps": (base_steps or []) + build_pipeline_steps(pipeline)}
''',
    "processors/core.py": '''
class Lengths:
    def __init__(self, config, progress_actor=None):
        self.config = config

    def __call__(self, batch):
        texts = batch["text"].fillna("").tolist()
        batch["lengths_embedding"] = [[float(len(text)), float(len(text.split()))] for text in texts]
        batch["label"] = ["long" if len(text) > 10 else "short" for text in texts]
        return batch
''',
}


def main() -> int:
    assert not any((parent / "node_modules").exists() for parent in HERE.parents), "node_modules is in reach"
    data = str(HERE / "data")
    subprocess.run([BINARY, "runtime", "setup", "--data", data], check=True)
    with open(HERE / "serve.log", "wb") as log:
        server = subprocess.Popen([BINARY, "serve", "--data", data, "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        url = listening(server)
        key = (HERE / "data" / "admin.key").read_text().strip()
        documents = upload_to_documents(url, key)
        print(json.dumps(documents[0], indent=2))
        print(f"PATH={os.environ['PATH']}: {len(documents)} documents of 20 objects")
        return 0 if len(documents) == 20 else 1
    finally:
        server.terminate()
        server.wait()


def listening(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        found = re.search(r"listening on (http://\S+)", line)
        if found:
            return found.group(1)
    raise RuntimeError("the server did not start: " + (HERE / "serve.log").read_text())


def upload_to_documents(url: str, key: str) -> list[dict[str, Any]]:
    def api(method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            path if path.startswith("http") else url + path,
            method=method,
            data=body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/zip"} if isinstance(body, bytes) else {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path, text in PLUGIN.items():
            packed.writestr(path, text)
    upload = api("POST", "/v1/namespaces/default/plugins/uploads", {"name": "lengths", "version": "1.0.0"})
    api("PUT", upload["presigned_url"], archive.getvalue())
    print(api("POST", f"/v1/namespaces/default/plugins/uploads/{upload['upload_id']}/confirm"))
    bucket = api("POST", "/v1/buckets", {"bucket_name": "texts", "bucket_schema": {"properties": {"text": {"type": "text"}}}})
    objects = [{"blobs": [{"property": "text", "type": "text", "data": "word " * count}]} for count in range(20)]
    api("POST", f"/v1/buckets/{bucket['bucket_id']}/objects/batch", {"objects": objects})
    collection = api("POST", "/v1/collections", {
        "collection_name": "lengths",
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {"feature_extractor_name": "lengths", "version": "1.0.0"},
    })
    batch = api("POST", f"/v1/buckets/{bucket['bucket_id']}/batches/trigger", {"collection_ids": [collection["collection_id"]]})
    deadline = time.monotonic() + 120
    while batch["status"] in ("QUEUED", "PENDING", "IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise RuntimeError("the batch did not end within two minutes")
        time.sleep(0.1)
        batch = api("GET", f"/v1/buckets/{bucket['bucket_id']}/batches/{batch['batch_id']}")
    print(f"batch {batch['status']}")
    return api("POST", f"/v1/collections/{collection['collection_id']}/documents/list", {"limit": 100})["results"]


if __name__ == "__main__":
    sys.exit(main())
