/** Names of forbidden things that mean something else. */
import { expect, test } from "bun:test"
import { type Sources, scan } from "./scanner.ts"

/** Of the environment that the plugins run in. */
const environment = new Set(["numpy"])

test.each<[string, string | Sources]>([
  ["for after", "for vars in [1, 2]:\n    pass\ndef f(x):\n    for open in x:\n        pass\n    return open"],
  [
    "ifelse",
    "import sys\nif sys.version_info >= (3, 11):\n    from mylib import compile\nelse:\n    from mylib.old import compile\ndef f(x):\n    return compile(x)",
  ],
  [
    "importlib ok",
    'import importlib.util, importlib.metadata, importlib.resources\nHAS = importlib.util.find_spec("flash_attn") is not None\nV = importlib.metadata.version("torch")\nD = importlib.resources.files(__package__).joinpath("a.json").read_text()\nfrom importlib import metadata, resources',
  ],
  [
    "nonlocal ",
    "def outer():\n    compile = None\n    def inner():\n        nonlocal compile\n        compile = 1\n        return compile\n    return inner() or compile",
  ],
  [
    "np loaders",
    'import numpy as np, torch\nLOADERS = {".npy": np.load, ".npz": np.load}\ndef f(p):\n    return LOADERS[".npy"](p), np.load(p, mmap_mode="r"), torch.load(p, map_location="cpu", weights_only=True)\ndef g(p, loader=np.load):\n    with np.load(p) as z:\n        return z["a"], loader(p)',
  ],
  [
    "own codes rel",
    {
      "main.py":
        "from . import code, socket, resource\nfrom .code import A\nfrom .socket import B\nfrom .resource import C\nprint(code.A, socket.B, resource.C)",
      "socket.py": "B=1",
      "resource.py": "C=1",
      "code.py": "A=1",
    },
  ],
  ["plain before", "def run(p):\n    return compile(p)\ndef compile(p):\n    return p"],
  [
    "smart open",
    "try:\n    from smart_open import open\nexcept ImportError:\n    raise\ndef f(p):\n    with open(p) as fh:\n        return fh.read()",
  ],
  [
    "syspath mock",
    'import sys\nfrom unittest import mock\nwith mock.patch.object(sys, "path", ["x"]):\n    pass\ndef test(monkeypatch):\n    monkeypatch.syspath_prepend("x")\n    monkeypatch.setattr(sys, "argv", ["x"])',
  ],
  [
    "trust ok",
    'from transformers import AutoModel\ndef f(m, trust_remote_code=False):\n    return AutoModel.from_pretrained(m, trust_remote_code=False)\ndef g(kw):\n    kw["trust_remote_code"] = False\n    kw.pop("trust_remote_code", None)\n    return {k: v for k, v in kw.items() if k != "trust_remote_code"}',
  ],
  [
    "asyncstuff",
    "import asyncio\nasync def f(r):\n    q: asyncio.Queue = asyncio.Queue()\n    await asyncio.wait_for(q.get(), 1); await asyncio.to_thread(len, r)\n    async for x in r: yield x\n    l = [y async for y in r]",
  ],
  [
    "boto",
    'import boto3, tensorflow as tf, torchaudio\ns3 = boto3.resource("s3"); obj = s3.Object("a", "b").get()["Body"].read()\ntf.io.gfile.exists("x"); tf.io.read_file("x"); tf.compat.v1.disable_eager_execution()\nwith tf.io.gfile.GFile("x") as f: pass\nm = tf.keras.models.load_model("x", compile=False); m.compile(optimizer="adam")',
  ],
  [
    "classbody",
    'class Job:\n    open: bool = True\n    closed = not open\n    def exec(self): return 1\n    run = exec\n    compile = staticmethod(lambda x: x)\n    table = {"exec": exec, "open": open}\n    @property\n    def vars(self): return {}\n    @vars.setter\n    def vars(self, v): self._v = v',
  ],
  [
    "classbody2",
    'class Job:\n    if True:\n        def exec(self): return 1\n    for open in ("a", "b"):\n        pass\n    names = [exec for exec in ("x",)]',
  ],
  ["delloc", "def f(xs):\n    open = xs[0]\n    del open\n    open = 2\n    return open"],
  ["emptyglobal", "_cache: dict = {}\nopen: bool\nopen = True\ndef f(): return open"],
  [
    "enum1",
    'from enum import Enum, auto, StrEnum\nclass Mode(Enum):\n    eval = auto(); open = "open"; compile = 3; threading = 4; subprocess = 5\ndef f(m): return m is Mode.eval or m is Mode.open or Mode.threading',
  ],
  ["forcond", 'vars = {}\nif vars: del vars["a"]\nfor k in list(vars): del vars[k]'],
  [
    "fsspec",
    'import fsspec, smart_open, aiofiles, h5py, zarr\nwith fsspec.open("s3://x") as f: pass\nwith smart_open.open("x") as f: pass\nz = zarr.open("x"); h = h5py.File("x")',
  ],
  ["fsspec2", "from fsspec import open\nfrom zarr import open as zopen\ndef f(p):\n    with open(p) as fh: return fh"],
  [
    "fut",
    "from concurrent.futures import Future, as_completed\nimport concurrent.futures as cf\nfrom concurrent import futures\ndef f(x: Future): cf.wait([x]); futures.TimeoutError",
  ],
  [
    "genericparam",
    "def f[open](x: open) -> open: return x\nclass A[compile]:\n    y: compile\n    def m(self) -> compile: ...\ntype Alias[vars] = list[vars]",
  ],
  ["hub", 'import torch\nm = torch.hub.load_state_dict_from_url("u")\nf = torch.hub.download_url_to_file("u", "x")'],
  [
    "initpath",
    "from pathlib import Path\nROOT = Path(__path__[0])\nprint(list(__path__), __name__)\nPLUGINS = [Path(p) for p in __path__]",
  ],
  [
    "initreexport",
    {
      "main.py": 'import lib\nfrom lib import compile, vars\ncompile(1); vars["x"]; lib.compile(2)',
      "lib/__init__.py": 'from .a import compile, vars\n__all__ = ["compile", "vars"]',
      "lib/a.py": "def compile(x): return x\nvars = {}",
    },
  ],
  [
    "innerdef",
    'class A:\n    def b(self): return open(self)\nA_INSTANCE: "A | None" = None\ndef use(a: "A"): pass\ndef open(x): return x',
  ],
  [
    "iosk",
    'from skimage import io\nimport scipy.signal\nfrom scipy import signal\nimport numpy as np\nimg = io.imread("x"); b = signal.butter(3, .1); scipy.signal.kill = 1',
  ],
  ["joblib2", 'import joblib\nm = joblib.Memory("x"); h = joblib.hash(1); joblib.dump(1, "x")'],
  [
    "logging1",
    'import logging, logging.handlers, sys, warnings, contextlib\nh = logging.StreamHandler(sys.stderr); logging.basicConfig(level="INFO", handlers=[h])\nwarnings.filterwarnings("ignore"); warnings.warn("eval()", stacklevel=2)\n@contextlib.contextmanager\ndef open_(x): yield x\nlogging.captureWarnings(True); logging.root.info("x")',
  ],
  ["mainguard", 'def main(): print(compile("x"))\ndef compile(x): return x\nif __name__ == "__main__": main()'],
  [
    "moduledict",
    {
      "main.py":
        "from handlers import HANDLERS, text\nfrom handlers.text import open, system as exec\nimport handlers.text as os\ndef f(k): return HANDLERS[k].open(k), text.open(1), open(2), exec(3), os.system(1)",
      "handlers/image.py": "def open(x): return x",
      "handlers/__init__.py": 'from . import text, image\nHANDLERS = {"text": text, "image": image}',
      "handlers/text.py": "def open(x): return x\ndef system(x): return x",
    },
  ],
  [
    "nested",
    'def outer(open):\n    def inner(): return open("x")\n    class K:\n        y = open\n        def z(self): return open\n    return [open(i) for i in range(3)], inner, K, lambda: open',
  ],
  [
    "onnx",
    'import onnxruntime as ort\nopts = ort.SessionOptions()\nopts.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL\nopts.intra_op_num_threads = 1\ns = ort.InferenceSession(b"", sess_options=opts, providers=["CPUExecutionProvider"])',
  ],
  [
    "oper",
    'import operator\nfrom operator import itemgetter, attrgetter\nsorted([], key=attrgetter("a.b")); sorted([], key=itemgetter("x")); operator.methodcaller("strip")',
  ],
  [
    "pep695",
    'type Vec[T] = list[T]\nclass Box[T]:\n    def open[U](self, u: U) -> T: ...\ndef first[T: (int, str)](xs: list[T]) -> T: return xs[0]\nx = f"{\'a\' + f"{1}"}"\ntry: pass\nexcept* ValueError as eg: pass\nmatch x:\n    case str() | None: pass\n    case {"k": [a, *_], **rest} if a: pass\n    case _: pass\nmatch = type = case = 1\nprint(match, type, case, _)',
  ],
  [
    "pickle1",
    'import json, numpy as np, msgpack\ndef dump(x): return msgpack.packb(x)\nloads = json.loads; load = json.load; loads("1")',
  ],
  ["platform2", "import platform as os\nos.system()"],
  [
    "polars",
    'import polars as pl\ndf = pl.DataFrame({"open": [1]}).with_columns(pl.col("open").alias("eval")).select(pl.all().exclude("vars"))\nopen_, close = df["open"], df["eval"]',
  ],
  [
    "pyd2",
    'from pydantic import BaseModel, Field\nfrom typing import Annotated, Literal\nclass Candle(BaseModel):\n    open: float; close: float\n    mode: Literal["open", "eval"] = "open"\n    vars: dict[str, float] = Field(default_factory=dict)\n    note: Annotated[str, "open"] = ""\n    def spread(self): return self.open - self.close + sum(self.vars.values())\nFIELDS = list(Candle.model_fields)',
  ],
  ["rasterio", 'import rasterio\nfrom rasterio import open as ropen, vars\nropen("x"); vars()'],
  [
    "spacy",
    'import spacy, nltk, datasets\nnlp = spacy.load("en"); d = datasets.load_dataset("x"); nltk.download("x"); joblib = 1',
  ],
  ["sqlite", 'import sqlite3\nc = sqlite3.connect(":memory:"); c.execute("x"); c.executemany("x", [])'],
  [
    "tryfinally",
    "import contextlib\nwith contextlib.suppress(ImportError):\n    from regex import compile\ncompile = None\ndef f(): return compile",
  ],
  [
    "tryimport",
    'try:\n    import orjson as json\nexcept ImportError:\n    import json\ntry:\n    from re2 import compile\nexcept ImportError:\n    from re import compile\nP = compile("a"); json.loads("1")',
  ],
  [
    "tryimport2",
    'try:\n    from regex import compile\nexcept ImportError:\n    compile = None\n    HAVE = False\nelse:\n    HAVE = True\nclass A:\n    def f(self): return compile("a")',
  ],
  [
    "tryimport3",
    'HAS = False\ntry:\n    import regex\n    HAS = True\n    from regex import compile\nexcept ImportError as exc:\n    raise RuntimeError("need regex") from exc\nP = compile("a")',
  ],
  [
    "yaml ",
    'import yaml\nyaml.safe_load("x"); yaml.load("x", Loader=yaml.SafeLoader); yaml.load("x", yaml.CSafeLoader)\ntry:\n    from yaml import CSafeLoader as Loader\nexcept ImportError:\n    from yaml import SafeLoader as Loader\nclass L(yaml.SafeLoader): pass\nyaml.load("x", Loader=Loader)',
  ],
  ["all list", '__all__ = ["A", "open"]\nclass A:\n    def m(self): return open(1)\ndef open(p): return p'],
  [
    "cls method shadow",
    "class Reader:\n    def open(self): return 1\n    @open.setter if False else (lambda f: f)\n    def b(self): ...",
  ],
  [
    "cond def",
    "import torch\nif torch.cuda.is_available():\n    def compile(m): return torch.compile(m)\nelse:\n    def compile(m): return m\nx = compile(1)",
  ],
  [
    "cond def2",
    "try:\n    import torch\n    def compile(m): return torch.compile(m)\nexcept ImportError:\n    def compile(m): return m\ndef f(m): return compile(m)",
  ],
  [
    "conddef cls",
    "class Reader:\n    try:\n        import x\n    except ImportError:\n        def open(self): return 1\n    else:\n        def open(self): return 2\n    alias = open",
  ],
  [
    "default args",
    "def open(p): return p\ndef f(p, opener=open): return opener(p)\nclass K:\n    opener = open\n    f = staticmethod(open)",
  ],
  [
    "ifexit",
    'import sys, os\nif os.name == "posix":\n    from mylib import compile\nelif os.name == "nt":\n    from mylib import compile2 as compile\nelse:\n    raise SystemExit("no")\nprint(compile("x"))',
  ],
  [
    "jinja",
    'from jinja2 import Environment\nenv = Environment(extensions=["jinja2.ext.do"]); env.from_string("x").render(open=1); env.compile("x")',
  ],
  ["lambda after def", 'def vars(x): return x\nH = {"a": lambda x: vars(x)}'],
  ["lambda param", 'f = lambda x, compile=len: compile(x)\ng = {k: (lambda vars: vars[0]) for k in "a"}'],
  [
    "method names",
    "class Stage:\n    def compile(self): ...\n    def get(self): return self.compile()\nstage = Stage(); c = stage.compile; c()\nrun = Stage.compile",
  ],
  [
    "modelsnames",
    "from typing import NamedTuple, get_type_hints\nclass R(NamedTuple):\n    open: float\n    close: float\nr = R(1, 2); r.open",
  ],
  [
    "namedtuple2",
    'from collections import namedtuple\nR = namedtuple("R", ["open", "close", "vars"]); R(1, 2, 3).open',
  ],
  [
    "own top",
    {
      "main.py":
        "from .io import open\nfrom .types import FunctionType\nfrom . import pickle, io, types\nopen(1); FunctionType(); pickle.load(1); io.open(2); types.FunctionType()",
      "pickle.py": "def load(x): return x",
      "signal.py": "def pthread_kill(): pass",
      "io.py": "def open(x): return x",
      "types.py": "class FunctionType: pass",
    },
  ],
  [
    "psut",
    "import psutil, gc, inspect, signal, sys\np = psutil.Process(); p.memory_info().rss; gc.collect(); inspect.signature(len); inspect.isclass(p); sys.getsizeof(1); sys.exc_info(); gc.disable(); inspect.getsource",
  ],
  [
    "quoted str generic",
    'from typing import List, Dict\ndef f(x: List["np.ndarray"], y: "Dict[str, \'torch.Tensor\']") -> "list[open_t]": ...',
  ],
  ["star torch", "from torch import *\nfrom mylib import *\nx = tensor([1])\ndef f(x): return eval_mode(x)"],
  [
    "super ",
    'class A:\n    def __getattribute__(self, n): return super().__getattribute__(n)\n    def m(self): return super().open()\n    @classmethod\n    def n(cls): return cls.__name__, cls.__dict__["open"], cls.__module__\n    def o(self): return type(self).__mro__, self.m.__func__, self.__class__.__name__',
  ],
  ["tabs", "if True:\n\tx = 1\n\tif x:\n\t        y = 2"],
  [
    "tadapter",
    'from pydantic import TypeAdapter, BaseModel\nTypeAdapter(dict).validate_python({"mode": "open"})\nx = TypeAdapter(dict).dump_python({"mode": "eval"})\nprint(BaseModel.model_fields)',
  ],
  ["whileelse", "def f(rows):\n    while rows:\n        open = rows.pop()\n    return open"],
  [
    "flow17",
    'import builtins\nfrom unittest.mock import patch\nwith patch.object(builtins, "open"): pass\nprint(builtins.len([1]), builtins.__name__)\nORIG = builtins.print',
  ],
  [
    "flow19",
    'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/open")\nasync def open(): return {}\n@app.get("/x")\nasync def x(): return await open()',
  ],
  [
    "flow20",
    "import click\n@click.command()\ndef compile(): ...\n@click.group()\ndef cli(): ...\ncli.add_command(compile)",
  ],
  [
    "flow21",
    "from functools import singledispatch\n@singledispatch\ndef open(x): ...\n@open.register\ndef _(x: int): ...\n@open.register(str)\ndef _(x): ...",
  ],
  [
    "flow22",
    "from typing import overload\n@overload\ndef open(x: int) -> int: ...\n@overload\ndef open(x: str) -> str: ...\ndef open(x): return x\nopen(1)",
  ],
  [
    "flow23",
    "class Meta(type):\n    def compile(cls): return cls\nclass X(metaclass=Meta):\n    compile: bool\n    class Config:\n        open = True\n    x = [open for open in (1, 2)]\nX.compile()",
  ],
  [
    "flow24",
    'class Shop:\n    open: int = 9\n    close: int = 17\n    hours = range(open, close)\n    label = f"{open}-{close}"\n    d = dict(open=open)\n    lam = lambda self: self.open',
  ],
  [
    "flow25",
    "class Shop:\n    open: int\n    def __init__(self, open): self.open = open\n    def f(self): return self.open\n    def compile(self, compile=None): return compile or self.compile",
  ],
  ["flow8", "import os, platform\nclass Info:\n    os = platform\n    def f(self): return self.os.system()"],
])("passes: %s", (_title, source) => {
  const result = scan(typeof source === "string" ? `${source}\n` : source, { environment })
  expect(result.passed ? [] : result.violations).toEqual([])
})
