/** Ordinary code passes without a word, in strict mode too. */
import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Sources, scan } from "./scanner.ts"

const PASSES: readonly [string, string][] = [
  ["a walrus in the condition", "if (open := f()):\n    open.read()\nelif (exec := g(open)): exec(open)"],
  ["a walrus in a loop's condition", "while (open := f()):\n    open.read()\nopen"],
  [
    "a walrus before its use in a call, a tuple and a conditional",
    "f(open := g(), open.read())\n(eval := 1, eval)\nexec.x if (exec := g()) else exec.y",
  ],
  ["a walrus and what follows it", "(open := f()) and open.read()\nopen"],
  ["a walrus as the subject", "match (open := f()):\n    case _: open.read()"],
  ["an exception of a builtin's name", "try: f()\nexcept ValueError as exec:\n    print(exec, [exec for x in y])"],
  [
    "numpy arrays",
    "import numpy as np\na = np.asarray(x, dtype=np.float32)\na / np.linalg.norm(a, axis=1, keepdims=True)",
  ],
  ["numpy.load", "import numpy as np\nnp.load(path), np.load(path, mmap_mode='r'), np.load(path, allow_pickle=False)"],
  ["numpy.load handed on", "import numpy as np\nlist(map(np.load, paths))"],
  ["numpy.save and memmap", "import numpy as np\nnp.save(p, a)\nnp.memmap(p, dtype='f4', mode='r')"],
  ["numpy random", "import numpy as np\nnp.random.default_rng(0).normal(size=3)"],
  ["numpy.vectorize", "import numpy as np\nnp.vectorize(f)(x)"],
  ["numpy.compress and select", "import numpy as np\nnp.compress(c, a), np.select([c], [a]), np.trace(a)"],
  ["pandas apply", "import pandas as pd\ndf['n'] = df['t'].apply(len)\ndf.assign(x=lambda d: d.a + d.b)"],
  ["pandas eval and query", "import pandas as pd\ndf.eval('a + b'), df.query('a > 1'), pd.eval('1 + 1')"],
  ["pandas readers", "import pandas as pd\npd.read_csv(f), pd.read_json(f), pd.read_parquet(f), pd.read_excel(f)"],
  ["pandas to_pickle's neighbours", "df.to_json(), df.to_parquet(p), df.pipe(f), df.pop('a')"],
  ["pandas groupby", "df.groupby('a').agg({'b': 'sum'}).reset_index()"],
  ["pandas itertuples", "for row in df.itertuples(index=False):\n    row.a"],
  [
    "torch modules",
    "import torch.nn as nn\nclass M(nn.Module):\n    def forward(self, x): return nn.functional.relu(x)",
  ],
  ["torch eval mode", "import torch\nmodel.eval()\nwith torch.no_grad(), torch.inference_mode(): model(x)"],
  ["torch.compile", "import torch\nmodel = torch.compile(model)"],
  ["torch.load of weights", "import torch\ntorch.load(p, map_location='cpu', weights_only=True), torch.load(p)"],
  ["torch.jit", "import torch\ntorch.jit.load(p), torch.jit.script(m)"],
  ["torch devices", "import torch\ntorch.cuda.is_available(), torch.set_num_threads(1), torch.device('cuda')"],
  ["torch.utils.data", "from torch.utils.data import DataLoader, Dataset\nDataLoader(d, batch_size=8)"],
  ["torch.func", "import torch\ntorch.vmap(f)(x), torch.compile, torch.export"],
  ["state dicts", "model.load_state_dict(state)\nmodel.state_dict()"],
  ["gc.collect", "import gc, torch\ngc.collect()\ntorch.cuda.empty_cache()"],
  ["gc.disable", "import gc\ngc.disable(), gc.enable(), gc.freeze()"],
  ["transformers", "from transformers import AutoModel, AutoTokenizer, pipeline\nAutoModel.from_pretrained('m')"],
  [
    "sentence transformers",
    "from sentence_transformers import SentenceTransformer\nSentenceTransformer('m').encode(x)",
  ],
  ["onnxruntime", "import onnxruntime as ort\nort.InferenceSession(b, ort.SessionOptions()).run(None, {})"],
  ["safetensors", "from safetensors.numpy import load_file, load\nload_file(p)"],
  ["sklearn", "from sklearn.feature_extraction.text import TfidfVectorizer\nTfidfVectorizer().fit_transform(x)"],
  ["joblib's memory and dump", "import joblib\njoblib.dump(m, p)\njoblib.Memory('c').cache(f)"],
  ["opencv", "import cv2\ncv2.imread(p), cv2.VideoCapture(p).read(), cv2.resize(a, (1, 1))"],
  ["pillow", "from PIL import Image\nImage.open(io_bytes).convert('RGB').resize((2, 2))"],
  ["imageio and librosa", "import imageio, librosa\nimageio.imread(b)\nlibrosa.load(p)"],
  ["soundfile", "import soundfile as sf\nsf.read(b), sf.SoundFile(p)"],
  ["wave", "import wave\nwith wave.open(f, 'rb') as w: w.readframes(1)"],
  ["skimage.io", "from skimage import io\nio.imread(p)\nimport skimage\nskimage.io.imsave(p, a)"],
  ["requests", "import requests\nrequests.get(u, timeout=5).json()"],
  ["httpx", "import httpx, ssl\nhttpx.Client(verify=ssl.create_default_context())"],
  ["aiohttp", "import aiohttp\nasync def f():\n    async with aiohttp.ClientSession() as s: await s.get(u)"],
  ["urllib", "from urllib.request import urlopen, Request\nfrom urllib.parse import urlparse\nurlopen(Request(u))"],
  ["http.client", "import http.client\nfrom http import HTTPStatus\nHTTPStatus.OK"],
  ["boto3", "import boto3\nboto3.client('s3'), boto3.resource('s3')"],
  ["socketless names", "socket = 1\nself.socket.send(b''), x.resource, y.signal"],
  ["ssl errors", "import ssl\ntry: f()\nexcept ssl.SSLError: pass"],
  ["asyncio", "import asyncio\nasync def f(): await asyncio.gather(a(), b())\nasyncio.run(f())"],
  ["asyncio tools", "import asyncio\nasyncio.sleep(1), asyncio.Queue(), asyncio.Semaphore(2), asyncio.wait_for(a, 1)"],
  ["asyncio loops", "import asyncio\nloop = asyncio.get_event_loop()\nloop.run_until_complete(f())\nloop.close()"],
  ["asyncio.to_thread", "import asyncio\nasync def f(): await asyncio.to_thread(g)"],
  ["futures' results", "from concurrent.futures import as_completed, Future, TimeoutError\nas_completed(x)"],
  ["queue", "import queue\nqueue.Queue().get()"],
  ["sched and time", "import sched, time\ntime.perf_counter(), time.sleep(0.1)"],
  ["timeit's clock", "from timeit import default_timer\nimport timeit\ndefault_timer(), timeit.default_timer()"],
  ["a profiler as a context", "import cProfile\nwith cProfile.Profile() as p: f()\np.print_stats()"],
  ["os paths", "import os\nos.path.join(os.path.dirname(__file__), 'a'), os.getcwd(), os.listdir('.')"],
  [
    "os files",
    "import os\nos.makedirs(p, exist_ok=True), os.remove(p), os.rename(a, b), os.stat(p), os.walk(p), os.scandir(p)",
  ],
  [
    "os facts",
    "import os\nos.environ.get('A'), os.getpid(), os.cpu_count(), os.name, os.sep, os.urandom(8), os.uname()",
  ],
  ["os.fdopen of a descriptor", "import os, tempfile\nfd, p = tempfile.mkstemp()\nos.fdopen(fd, 'wb'), os.close(fd)"],
  ["os.PathLike", "from os import PathLike, fspath, sep, linesep"],
  ["pathlib", "from pathlib import Path\nPath(__file__).parent.joinpath('a').read_bytes(), Path(p).read_text('utf-8')"],
  ["pathlib open", "from pathlib import Path\nwith Path(p).open('rb') as f: f.read()"],
  [
    "pathlib writing",
    "from pathlib import Path\nPath(p).write_bytes(b''), Path(p).mkdir(), Path(p).glob('*'), Path(p).exists()",
  ],
  ["tempfile", "import tempfile\nwith tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile() as f: f.name"],
  ["shutil", "import shutil\nshutil.copyfileobj(a, b), shutil.rmtree(p), shutil.which('x'), shutil.disk_usage('.')"],
  [
    "io",
    "import io\nisinstance(f, io.FileIO), io.BytesIO(b).read(), io.StringIO(), io.TextIOWrapper(b), io.SEEK_END, io.BufferedReader(r)",
  ],
  [
    "codecs",
    "import codecs\ncodecs.decode(b, 'utf-8'), codecs.BOM_UTF8, codecs.getreader('utf-8')(b), codecs.lookup('utf-8')",
  ],
  [
    "archives",
    "import zipfile, tarfile, gzip, bz2, lzma\nzipfile.ZipFile(b).open('a'), tarfile.open(fileobj=b), gzip.open(b), bz2.open(b), lzma.open(b)",
  ],
  ["mmap", "import mmap\nmmap.mmap(-1, 10)"],
  ["sqlite", "import sqlite3\nsqlite3.connect(':memory:').execute('select 1')"],
  ["csv and json", "import csv, json\ncsv.DictReader(f), json.loads(s), json.load(f), json.dumps(x)"],
  ["yaml", "import yaml\nyaml.safe_load(f), yaml.load(f, Loader=yaml.SafeLoader), yaml.dump(x)"],
  ["toml and xml", "import tomllib\nimport xml.etree.ElementTree as ET\ntomllib.loads(s), ET.fromstring(s)"],
  [
    "struct and binascii",
    "import struct, binascii, base64, zlib, hashlib\nstruct.unpack('<I', b), zlib.decompress(b), hashlib.sha256(b)",
  ],
  ["re", "import re\nPATTERN = re.compile(r'\\w+')\nPATTERN.match(s), re.sub('a', 'b', s)"],
  ["ast.literal_eval", "import ast\nast.literal_eval(s), ast.parse(s)"],
  ["operator", "import operator\nsorted(x, key=operator.itemgetter('a')), operator.add(1, 2), operator.mul"],
  [
    "attrgetter with a name",
    "from operator import attrgetter, methodcaller\nsorted(x, key=attrgetter('score', 'a.b'))\nmethodcaller('lower')(s)",
  ],
  [
    "functools",
    "from functools import partial, lru_cache, reduce, wraps, cached_property\npartial(f, a=1)\nreduce(f, x)",
  ],
  ["itertools", "from itertools import chain, islice, compress\nlist(compress(a, b))"],
  [
    "types in annotations",
    "import types\nfrom types import FunctionType, ModuleType, SimpleNamespace\ndef f(x: types.FunctionType, y: FunctionType | None) -> ModuleType: return SimpleNamespace(a=1)",
  ],
  [
    "types in isinstance",
    "import types\nisinstance(f, types.FunctionType), isinstance(f, (types.LambdaType, types.MethodType)), issubclass(c, types.FunctionType), isinstance(c, types.CodeType)",
  ],
  ["types compared with", "import types\nif type(f) is types.FunctionType: pass"],
  ["mapping proxies", "from types import MappingProxyType, TracebackType\nMappingProxyType({})"],
  [
    "inspect",
    "import inspect\ninspect.signature(f), inspect.iscoroutinefunction(f), inspect.isawaitable(x), inspect.cleandoc(s), inspect.getdoc(f)",
  ],
  [
    "typing",
    "from typing import TYPE_CHECKING, Any, get_type_hints, ForwardRef\nif TYPE_CHECKING:\n    from collections.abc import Iterable",
  ],
  ["optional dependencies", "try:\n    import cupy as xp\nexcept ImportError:\n    import numpy as xp"],
  ["find_spec", "import importlib.util\nHAS = importlib.util.find_spec('torch') is not None"],
  [
    "find_spec, imported",
    "from importlib.util import find_spec\nif find_spec('cv2') is None: raise ImportError('cv2')",
  ],
  ["importlib.metadata", "from importlib.metadata import version, PackageNotFoundError\nversion('numpy')"],
  [
    "importlib.resources",
    "from importlib import resources, metadata\nresources.files(__package__).joinpath('a').read_text()",
  ],
  ["pkgutil.get_data", "import pkgutil\npkgutil.get_data(__name__, 'words.txt')"],
  [
    "sys facts",
    "import sys\nsys.version_info >= (3, 10), sys.platform, sys.maxsize, sys.byteorder, sys.getsizeof(x), sys.stderr.write('')",
  ],
  ["sys.exc_info", "import sys\nsys.exc_info()[1], sys.exit, sys.setrecursionlimit(1), sys.intern('a')"],
  ["sys.path", "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent))"],
  ["sys.modules asked", "import sys\n'torch' in sys.modules, len(sys.modules), sys.modules.keys()"],
  [
    "sys.modules of its own",
    "import sys\nsys.modules[__name__], sys.modules.get(__name__), sys.modules['numpy'], sys.modules.get('torch')",
  ],
  [
    "logging",
    "import logging\nlogger = logging.getLogger(__name__)\nlogging.basicConfig(level=logging.INFO)\nlogger.exception('x')",
  ],
  ["logging.config imported", "import logging.config, logging.handlers\nlogging.handlers.MemoryHandler(1)"],
  ["warnings", "import warnings\nwarnings.filterwarnings('ignore')\nwith warnings.catch_warnings(): pass"],
  ["traceback", "import traceback\ntraceback.format_exc(), traceback.print_exc()"],
  ["contextlib", "from contextlib import contextmanager, suppress, ExitStack\nwith suppress(KeyError): pass"],
  [
    "dataclasses",
    "from dataclasses import dataclass, field, asdict, fields\n@dataclass(frozen=True, slots=True)\nclass A:\n    x: int = 0\n    y: list = field(default_factory=list)",
  ],
  [
    "pydantic",
    "from pydantic import BaseModel, Field, field_validator\nclass A(BaseModel):\n    x: str = Field(default='a')\n    @field_validator('x')\n    @classmethod\n    def check(cls, v): return v",
  ],
  ["enum and abc", "from enum import Enum, auto\nfrom abc import ABC, abstractmethod\nclass E(Enum):\n    A = auto()"],
  [
    "collections",
    "from collections import defaultdict, Counter, deque, namedtuple, OrderedDict\ndefaultdict(list)['a'].append(1)",
  ],
  ["weakref and copy", "import weakref, copy\nweakref.ref(x), copy.deepcopy(x)"],
  ["uuid, secrets, random", "import uuid, secrets, random\nuuid.uuid4(), secrets.token_hex(), random.seed(0)"],
  ["datetime", "from datetime import datetime, timezone\ndatetime.now(timezone.utc).isoformat()"],
  ["signal names", "import signal\nsignal.signal(signal.SIGALRM, f), signal.alarm(5), signal.SIGTERM"],
  ["select", "import select, selectors\nselectors.DefaultSelector()"],
  [
    "unittest",
    "import unittest\nfrom unittest import mock\nclass T(unittest.TestCase):\n    @mock.patch('a.b')\n    def test(self, m): self.assertEqual(1, 1)",
  ],
  [
    "pytest",
    "import pytest\n@pytest.fixture\ndef x(monkeypatch, tmp_path): monkeypatch.setenv('A', '1')\n@pytest.mark.parametrize('a', [1])\ndef test_a(a, x): assert a",
  ],
  ["psutil", "import psutil\npsutil.virtual_memory().available, psutil.cpu_percent(), psutil.Process().memory_info()"],
  ["numba", "from numba import njit, prange\n@njit(parallel=True)\ndef f(a): return a.sum()"],
  ["tqdm", "from tqdm import tqdm\nfor x in tqdm(xs): pass"],
  ["jinja and markdown", "from jinja2 import Template\nTemplate('{{ a }}').render(a=1)"],
  ["spacy and nltk", "import spacy, nltk\nspacy.load('en_core_web_sm'), nltk.download('punkt')"],
  [
    "own load methods",
    "class Store:\n    def load(self, p): return self.loads(p)\n    def loads(self, p): return p\nStore().load(p)",
  ],
  ["own load_module methods", "self.load_module('a'), loader.exec_module, registry.find_spec('x')"],
  ["own run and kill methods", "job.run('x'), job.kill(), job.terminate(), pool.spawn(f), loop.fork()"],
  ["own loader attribute", "self.loader.load(x), spec.loader, config.loader"],
  ["own code module", "from .code import tokens\nfrom . import trace, code, types\ncode.run(), trace.trace(x)"],
  ["own names of modules", "code = 1\ntrace = code\nimp = trace\nprint(code, trace, imp, site(code=code))"],
  ["keywords of those names", "f(eval=1, open=2, compile=3, code=4, resource=5, frame=6)"],
  ["attributes of those names", "x.code, x.signal, x.trace(), x.runpy, x.gc, x.inspect(y), x.operator, x.pty"],
  ["strings of those names", "x = 'import runpy; sys._getframe()'\n'''os.system('ls')'''\n# gc.get_objects()"],
  ["f-strings", "x = f'{a.b!r:>10} {len(c)} {d[\"e\"]}'"],
  [
    "super and class attributes",
    "class A(B):\n    def __init__(self, *a, **k):\n        super().__init__(*a, **k)\n        self.__dict__.update(k)",
  ],
  [
    "common dunders",
    "__all__ = ['a']\n__version__ = '1'\nx.__name__, x.__doc__, x.__len__(), x.__module__, x.__dict__, x.__annotations__",
  ],
  ["a type's name", "type(x).__name__, type(e).__qualname__"],
  [
    "operators' methods",
    "class A:\n    def __getitem__(self, k): return k\n    def __call__(self): return self\n    def __enter__(self): return self",
  ],
  ["__getattr__ defined", "class A:\n    def __getattr__(self, name): raise AttributeError(name)"],
  ["input and print", "print('x', file=f), input, repr(x), id(x), hash(x), callable(f), dir(x)"],
  [
    "iteration builtins",
    "sorted(x), reversed(x), enumerate(x), zip(a, b), map(f, x), filter(f, x), sum(x), min(x), max(x), any(x)",
  ],
  [
    "type constructors",
    "bytes(x), bytearray(x), memoryview(x), int('1'), float('1'), complex(1), str(x), slice(1), object()",
  ],
  [
    "property and friends",
    "class A:\n    @property\n    def x(self): return 1\n    @staticmethod\n    def y(): return 2",
  ],
  ["match", "match x:\n    case {'a': [1, *rest]}: rest\n    case str() | int(): pass"],
  ["async generators", "async def f():\n    async for x in g(): yield x"],
  ["main guard", "if __name__ == '__main__':\n    main()"],
  ["package name", "__package__, __file__, __doc__"],
  [
    "the appliance's own",
    "from shared.models.loader import load_namespace_model\nfrom shared.plugins import open_asset\nfrom engine.plugins.extractors.pipeline import StepDefinition",
  ],
]

test.each(PASSES)("%s", (_title, source) => {
  expect(scan(`${source}\n`, { strict: true })).toEqual({ passed: true, warnings: [] })
})

test("there are more than a hundred", () => {
  expect(PASSES.length).toBeGreaterThan(100)
})

const samples = new URL("../../plugins-sample/", import.meta.url).pathname

test.each(readdirSync(samples))("the sample plugin %s passes in strict mode", (category) => {
  const sources: Sources = {}
  for (const name of readdirSync(join(samples, category), { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".py")) sources[name] = readFileSync(join(samples, category, name))
  }
  expect(Object.keys(sources).length).toBeGreaterThan(2)
  expect(scan(sources, { strict: true })).toEqual({ passed: true, warnings: [] })
})
