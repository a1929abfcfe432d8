/** Code that was refused once though it does nothing forbidden. */
import { expect, test } from "bun:test"
import { type Sources, scan } from "./scanner.ts"

/** Of the environment that the plugins run in. */
const environment = new Set(["numpy"])

test.each<[string, string | Sources]>([
  [
    "annot before",
    "class Encoder:\n    def run(self, p):\n        return compile(p)\ndef build(e: Encoder) -> Encoder:\n    return e\ndef compile(p):\n    return p",
  ],
  [
    "comp",
    'rows = [open for open in range(3)]\nd = {vars: 1 for vars in "ab"}\nf = lambda open: open + 1\ng = [eval for eval, y in [(1, 2)]]\nif (compile := 3) > 2:\n    print(compile)\nfor exec in range(3):\n    print(exec)\nwith foo() as open:\n    open.read()\nmatch rows:\n    case [open, *vars]:\n        print(open, vars)\n    case {"eval": eval, **locals}:\n        print(eval, locals)',
  ],
  [
    "create model",
    'from pydantic import create_model, BaseModel\nOpts = create_model("Opts", mode=(str, "eval"), open=(float, 1.0), **{"vars": (dict, {})})',
  ],
  [
    "dataclass before",
    "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: str\n    def run(self):\n        return compile(self.x)\ndef compile(p):\n    return p.upper()",
  ],
  [
    "decorated before",
    "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef pattern(p):\n    return compile(p)\ndef compile(p):\n    return p.upper()",
  ],
  ["except as", "try:\n    pass\nexcept ValueError as open:\n    print(open)"],
  ["global2", "_model = None\ndef get():\n    global vars\n    vars = {}\n    return vars"],
  ["lambda before", 'HANDLERS = {"a": lambda x: compile(x)}\ndef compile(p):\n    return p.upper()'],
  [
    "load ext",
    'class Registry:\n    def load_extension(self, ext):\n        return ext\n    def run(self):\n        return self.load_extension(".png")',
  ],
  [
    "makedc",
    'from dataclasses import make_dataclass, fields\nfrom pydantic import BaseModel\nC = make_dataclass("C", ["open", "close"])\nclass M(BaseModel):\n    a: int\nprint(M.model_fields)',
  ],
  [
    "np register",
    'import numpy as np, torch\ndef register(*a): ...\nregister(".npy", np.load, "array")\nregister("pt", "tensor", "x", torch.load)\ndef load_pairs(xs, ys):\n    return list(map(np.load, xs, ys))',
  ],
  [
    "own commands",
    {
      "main.py": "from commands.build import go\nimport commands",
      "commands/__init__.py": "",
      "commands/build.py": "def go():\n    return 1",
    },
  ],
  [
    "own inspect",
    {
      "main.py": "from utils import inspect\ndef f(x):\n    return inspect.stack(x), inspect.trace(x)",
      "utils/__init__.py": "",
      "utils/inspect.py": "def stack(images):\n    return images\ndef trace(x):\n    return x",
    },
  ],
  [
    "own inspect attr",
    {
      "main.py": "import utils.inspect\ndef f(x):\n    return utils.inspect.stack(x)",
      "utils/__init__.py": "",
      "utils/inspect.py": "def stack(images):\n    return images",
    },
  ],
  [
    "own os pkg",
    {
      "pkg/main.py":
        "from pkg import os as platform_os\nfrom . import os as o2\ndef f(x):\n    return platform_os.system(), o2.system()",
      "pkg/__init__.py": "",
      "pkg/os.py": 'def system():\n    return "linux"',
    },
  ],
  [
    "own threading",
    {
      "pkg/main.py": "from pkg import threading\nfrom pkg.threading import X",
      "pkg/__init__.py": "",
      "pkg/threading.py": "X = 1",
    },
  ],
  [
    "quoted dict",
    'class C: pass\ndef f(cfg):\n    return cfg.dict["eval.batch_size"], cfg.type["open.mode"], cfg.set["vars"]',
  ],
  [
    "settings threading",
    {
      "core/__init__.py": "",
      "core/settings.py":
        'from dataclasses import dataclass, field\n@dataclass\nclass Threading:\n    workers: int = 1\n@dataclass\nclass Settings:\n    threading: Threading = field(default_factory=Threading)\n    os: str = "linux"\n    subprocess: bool = False\nsettings = Settings()',
      "core/run.py":
        "from core.settings import settings\ndef f():\n    return settings.threading.workers, settings.os, settings.subprocess",
    },
  ],
  [
    "star import",
    {
      "main.py": "from helpers import *\ndef f(x):\n    return compile(x), open(x)",
      "helpers.py": "def compile(x): return x\ndef open(x): return x",
    },
  ],
  [
    "star rel",
    {
      "p/main.py": "from .helpers import *\nprint(compile(1))",
      "p/__init__.py": "",
      "p/helpers.py": "def compile(x): return x",
    },
  ],
  [
    "staticm before",
    "class Encoder:\n    @staticmethod\n    def run(p):\n        return compile(p)\n    @property\n    def y(self):\n        return compile(self)\ndef compile(p):\n    return p",
  ],
  [
    "subclass before",
    "class Encoder:\n    def run(self, p):\n        return vars(p)\nclass Sub(Encoder):\n    pass\ndef vars(p):\n    return p",
  ],
  [
    "syspath reads2",
    'import sys\nfrom pathlib import Path\nprint("\\n".join(p for p in sys.path if p))\nn = len([p for p in sys.path])\nfirst = Path(sys.path[0])\nm = max(sys.path, key=len)\nif sys.path and sys.path[0]:\n    pass\nassert sys.path\ns = sum(1 for p in sys.path)\nu = hash(tuple(sys.path))',
  ],
  [
    "syspath reads4",
    'import sys\na = sys.path + ["x"]\nb = sys.path[:]\nc = [*sys.path, "x"]\nd = zip(sys.path, sys.path)\ne = f"{sys.path!r}"\nassert "x" not in sys.path, sys.path',
  ],
  [
    "typeddict fn",
    'from typing import TypedDict, NamedTuple, get_type_hints\nCandle = TypedDict("Candle", {"open": float, "close": float})\nRow = NamedTuple("Row", [("open", float), ("close", float)])\nprint(get_type_hints(Candle))',
  ],
  [
    "enum2",
    {
      "main.py":
        "from modes import Mode\nimport modes\ndef f(m): return m is Mode.threading or m is Mode.subprocess or m is modes.Mode.threading",
      "modes.py":
        "from enum import Enum\nclass Mode(Enum):\n    thread = 1\n    threading = 4; subprocess = 5; asyncio = 6; signal = 7",
      "rel/__init__.py": "",
      "rel/a.py": "from ..modes import Mode\nx = Mode.threading",
    },
  ],
  [
    "modwith",
    "with (a() as open, b(open) as exec): print(open, exec)\nfor i, open in enumerate([]): print(i, open)\nimport x.y as compile\ncompile.z; \nclass eval: pass\nclass B(eval): pass\nasync def exec(): pass\nasync def z(): await exec()",
  ],
  [
    "walrus",
    "import re\ndef f(x):\n    while (open := x.pop()) is not None: print(open)\n    if any((exec := y) for y in x): return exec\nprint([vars := 1, vars])",
  ],
  ["walrus2", "if (compile := __import) is None or compile > 2: print(compile)"],
  [
    "fn reg",
    'import numpy as np\nclass P:\n    def submit(self, *a): ...\nP().submit(np.load, "a.npy", "r")\nP().submit(np.load, "a.npy", "r", False)\nfrom functools import partial\npartial(np.load, "x", "r")',
  ],
  [
    "loop continue",
    'for row in [1]:\n    if row:\n        vars = {"a": 1}\n    else:\n        continue\n    print(vars)',
  ],
  [
    "make2",
    'from pydantic import create_model, BaseModel\nM = create_model("Eval", __base__=BaseModel, split=(str, "eval"), status=(str, "open"))',
  ],
  [
    "own operator mod",
    {
      "main.py":
        'from ops import signal, pickle, importlib, sys\nsignal.raise_signal(1); pickle.load(2); importlib.reload(3); sys.path.append("x")',
      "ops/pickle.py": "def load(x): return x",
      "ops/__init__.py": "",
      "ops/signal.py": "def raise_signal(x): return x",
      "ops/sys.py": 'path = ["a"]',
      "ops/importlib.py": "def reload(x): return x",
    },
  ],
  [
    "run before",
    "class Encoder:\n    def encode(self, p):\n        return compile(p)\nENC = None\ndef register(cls=Encoder): ...\ndef compile(p): return p",
  ],
  [
    "tryloop",
    "for i in range(3):\n    try:\n        vars = fetch()\n    except ValueError:\n        continue\n    print(vars)",
  ],
  [
    "flow1",
    'import sys\ndef f(path=None):\n    path = path or sys.path\n    for p in path: print(p)\n    path = "x"\n    return path.upper()',
  ],
  [
    "flow15",
    'import numpy as np\nnp.load("x", allow_pickle=(False)); np.load("x", allow_pickle=0); np.load("x", None, False)',
  ],
])("passes: %s", (_title, source) => {
  const result = scan(typeof source === "string" ? `${source}\n` : source, { environment })
  expect(result.passed ? [] : result.violations).toEqual([])
})
