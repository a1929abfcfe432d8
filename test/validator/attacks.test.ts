/** Ways past the rules of names and scopes that somebody found with the tables open, and where each is stopped now. */
import { test } from "bun:test"
import { expectStopped, type Sources } from "./scanner.ts"

test.each<[string, string | Sources, string]>([
  ["enum bltns", 'import enum\nenum.bltns.eval("print(6*7)")', "2:0 Forbidden builtin: eval"],
  [
    "tempfile io",
    'import tempfile\nprint(tempfile._io.open("/etc/hostname").read())',
    "2:6 Forbidden builtin: _io.open",
  ],
  ["gzip io", 'from zipfile import io\nprint(io.open("/etc/hostname").read())', "2:6 Forbidden builtin: io.open"],
  [
    "get type hints",
    'import typing\nclass A: pass\nA.__annotations__ = {"a": "".join(["__imp", "ort__(\'os\').system(\'id\')"])}\ntyping.get_type_hints(A)',
    "3:0 Forbidden access: an annotation made at run time",
  ],
  ["builtins self alias", 'p = print\np.__self__.eval("print(6*7)")', "2:0 Forbidden builtin: eval"],
  ["self list", '[print][0].__self__.eval("print(6*7)")', "1:0 Forbidden builtin: eval"],
  [
    "self method",
    'import time\nprint(time.sleep.__self__)\n(lambda f: f.__self__)(print).eval("print(6*7)")',
    "3:0 Forbidden builtin: eval",
  ],
  ["self setattr", 'import json\nclass A: p = print\nA.p.__self__.eval("print(6*7)")', "3:0 Forbidden builtin: eval"],
  [
    "codereplace",
    'def f(): return evl("6*7")\nf.__code__ = f.__code__.replace(co_names=("ev" + "al",))\nprint(f())',
    "2:2 Forbidden access: __code__ is changed",
  ],
  [
    "modules or",
    'import sys\n(sys.modules | {})["os"].system("id")',
    "2:1 Forbidden access: sys.modules by a computed name",
  ],
  [
    "modules name",
    'import sys\nsys.modules[__name__].__dict__["__builtins__"].eval("print(6*7)")',
    "2:0 Forbidden access: the __dict__ of a module of the plugin",
  ],
  [
    "modules funcname",
    'import sys\ndef f(__name__): sys.modules[__name__].system("id")\nf("os")',
    "2:17 Forbidden access: sys.modules by a computed name",
  ],
  [
    "package relative",
    '__package__ = "logging"\nfrom . import os as o\no.system("id")',
    "1:0 Forbidden access: __package__ is changed",
  ],
  [
    "package subprocess",
    '__package__ = "subprocess"\nfrom . import run\nrun("id")',
    "1:0 Forbidden access: __package__ is changed",
  ],
  [
    "package eval",
    '__package__ = "builtins"\nfrom . import eval as e\nprint(e("6*7"))',
    "1:0 Forbidden access: __package__ is changed",
  ],
  [
    "N escape builtins",
    'print(__builtins__.__dict__["\\N{LATIN SMALL LETTER E}val"]("6*7"))',
    "1:6 Forbidden builtin: eval",
  ],
  [
    "N escape annotation",
    "import typing\ndef f(x: \"\\N{LOW LINE}_import__('os').system('id')\"): pass\ntyping.get_type_hints(f)",
    "2:9 Forbidden builtin: __import__",
  ],
  [
    "N escape annotation2",
    "import typing\ndef f(x: \"e\\N{LATIN SMALL LETTER V}al('print(42)')\"): pass\ntyping.get_type_hints(f)",
    "2:9 Forbidden builtin: eval",
  ],
  [
    "long key annotation fstr",
    "import typing\nclass A: pass\nA.__annotations__[\"a\"] = f\"__import__('{'os'}').system('id')\"\ntyping.get_type_hints(A)",
    "3:0 Forbidden access: an annotation made at run time",
  ],
  [
    "annotations dict",
    'import typing\nclass A:\n    __annotations__ = {"a": "__import__(\'os\')" + ".system(\'id\')"}\ntyping.get_type_hints(A)',
    "3:4 Forbidden access: an annotation made at run time",
  ],
  [
    "annotation percent",
    "import typing\ndef f(x: \"%s__('os').system('id')\" % \"__import\"): pass\ntyping.get_type_hints(f)",
    "2:9 Forbidden access: an annotation made at run time",
  ],
  [
    "modules del",
    'import sys\neval = 1\ndel sys.modules[__name__].eval\nprint(eval("6*7"))',
    "4:6 Forbidden builtin: eval",
  ],
  [
    "dict del",
    'import sys\neval = 1\nsys.modules[__name__].__dict__.pop("eval")\nprint(eval("6*7"))',
    "3:0 Forbidden access: the __dict__ of a module of the plugin",
  ],
  [
    "suppress clause",
    'import contextlib\nclass X:\n    def __enter__(s): raise ValueError\n    def __exit__(s, *a): pass\nwith contextlib.suppress(ValueError), X() as eval: pass\nprint(eval("6*7"))',
    "6:6 Forbidden builtin: eval",
  ],
  [
    "match partial",
    'match [1]:\n    case [2, eval]: pass\n    case _: print(eval("6*7"))',
    "3:18 Forbidden builtin: eval",
  ],
  [
    "match capture fail",
    'match {"a": 1}:\n    case {"a": 2, **eval}: pass\n    case {"a": _}: print(eval("6*7"))',
    "3:25 Forbidden builtin: eval",
  ],
  [
    "eq modules",
    'import sys\nclass E:\n    def __eq__(s, o): o["os"].system("id")\nE() == sys.modules',
    "4:7 Forbidden access: sys.modules by a computed name",
  ],
  [
    "match modules",
    'import sys\nmatch sys.modules:\n    case {"os": o}: o.system("id")',
    "2:6 Forbidden access: sys.modules by a computed name",
  ],
  [
    "match dict",
    'import os\nmatch os.__dict__:\n    case {"system": s}: s("id")',
    "2:6 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "dict items",
    'import os\nfor k, v in os.__dict__.items():\n    if k == "system": v("id")',
    "2:12 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "dict values",
    'import os\n[v for v in os.__dict__.values() if str(v).startswith("<built-in function system")][0]("id")',
    "2:12 Forbidden access: os.__dict__ as a whole",
  ],
  ["dict splat", 'import os\n{**os.__dict__}["system"]("id")', "2:0 Forbidden access: os.__dict__ as a whole"],
  ["dict copy", 'import os\nos.__dict__.copy()["system"]("id")', "2:0 Forbidden access: os.__dict__ as a whole"],
  ["dict dict", 'import os\ndict(os.__dict__)["system"]("id")', "2:5 Forbidden access: os.__dict__ as a whole"],
  [
    "dict splat call",
    'import os\ndef f(system, **k): system("id")\nf(**os.__dict__)',
    "2:20 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "format map",
    'import os\nclass S(dict):\n    pass\nS(os.__dict__)["system"]("id")',
    "4:2 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "itemgetter",
    'import os, operator\noperator.itemgetter("system")(os.__dict__)("id")',
    "2:30 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "builtins items",
    'for k, v in __builtins__.__dict__.items():\n    if k == "eval": v("print(42)")',
    "1:12 Forbidden access: builtins.__dict__ as a whole",
  ],
  [
    "pydantic annot computed",
    'import pydantic\nclass M(pydantic.BaseModel):\n    __annotations__ = {"a": "".join(["__import__(\'os\')", ".system(\'id\')"])}',
    "3:4 Forbidden access: an annotation made at run time",
  ],
  ["pathlib io", 'import pathlib\nprint(pathlib.io.open("/etc/hostname").read())', "2:6 Forbidden builtin: io.open"],
  [
    "prepare builtin",
    "class M(type):\n    @classmethod\n    def __prepare__(m, *a): return __builtins__.__dict__\nprint(1)",
    "3:35 Forbidden access: builtins.__dict__ as a whole",
  ],
  [
    "deepcopy",
    'import os, types, copy\ncopy.copy(os.__dict__)["system"]("id")',
    "2:10 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "dictview eq",
    'import os\ns, = (v for k, v in os.__dict__.items() if k == "system")\ns("id")',
    "2:20 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "own file",
    'import sys, os\n__file__ = "/tmp/elsewhere/evil/x.py"\nsys.path.insert(0, os.path.dirname(__file__))\nimport evil_mod',
    "2:0 Forbidden access: __file__ is changed",
  ],
  [
    "env path",
    'import os, sys\nsys.path[0:0].append("x")\nlist.append.__get__ if 0 else 0\n__path__ = ["/tmp/elsewhere/evil"]\n__package__ = "__main__"\nfrom . import evil_mod',
    "4:0 Forbidden access: __path__ is changed",
  ],
  [
    "cycle",
    {
      "main.py": "import m",
      "m.py": 'def f(): return eval("print(42)")\nimport b\ndef eval(x): pass',
      "b.py": "import m\nm.f()",
    },
    "1:16 Forbidden builtin: eval",
  ],
  [
    "delother",
    { "main.py": "import a\ndel a.eval\na.f()", "a.py": 'eval = 1\ndef f(): return eval("print(42)")' },
    "2:16 Forbidden builtin: eval",
  ],
])("does not get past: %s", (_title, source, expected) => {
  expectStopped(source, expected)
})
