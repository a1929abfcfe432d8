"""Started by scripts/libraries-inside: a plugin that uses each library with threads, saves and loads, at each level."""

import sys

from support import WorkerProcess, plugin_of
from test_lock_down import policies

WORK = '''
import os, tempfile
from concurrent.futures import ThreadPoolExecutor
import numpy as np

def with_onnxruntime():
    import onnxruntime as ort
    from onnxruntime.datasets import get_example
    options = ort.SessionOptions()
    options.intra_op_num_threads = 4
    session = ort.InferenceSession(get_example("sigmoid.onnx"), options, providers=["CPUExecutionProvider"])
    given = np.random.rand(3, 4, 5).astype(np.float32)
    name = session.get_inputs()[0].name
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: session.run(None, {name: given})[0], range(8)))
    assert all(np.allclose(answer, 1 / (1 + np.exp(-given)), atol=1e-5) for answer in answers)
    return ort.__version__

def with_torch():
    import torch
    torch.set_num_threads(4)
    layer = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
    with tempfile.TemporaryDirectory() as folder:
        torch.save(layer.state_dict(), folder + "/weights.pt")
        layer.load_state_dict(torch.load(folder + "/weights.pt", weights_only=True))
    answer = layer(torch.rand(1000, 64))
    answer.sum().backward()
    assert answer.shape == (1000, 2) and layer[0].weight.grad is not None
    return torch.__version__

class Uses:
    def __call__(self, frame):
        frame["said"] = [globals()[f"with_{name}"]() for name in frame["text"]]
        return frame

steps = [Uses()]
'''

failed = False
for policy in policies():
    with WorkerProcess(plugin_of(WORK), policy={**policy, "memory_bytes": 8 << 30}) as worker:
        worker.build()
        for name in sys.argv[1:]:
            result = worker.run([{"text": name}])
            said = f"works ({result.fields[0]['said']})" if not result.errors else str(result.errors[0]["message"])
            failed = failed or bool(result.errors) or result.reply["type"] != "partition_done"
            print(f"{name} at {policy}: {said}")
sys.exit(1 if failed else 0)
