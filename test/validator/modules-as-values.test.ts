/** A module whose members may be forbidden stops where it is handed on: what follows is not to be followed. */
import { expect, test } from "bun:test"
import { expectStopped, type Sources, scan } from "./scanner.ts"

test.each<[string, string | Sources, string]>([
  [
    "init param",
    'import os\nclass A:\n    def __init__(self, m): self.m = m\nA(os).m.system("id")',
    "4:2 Forbidden access: the module os as a value",
  ],
  [
    "property",
    'import os\nclass A:\n    @property\n    def m(self): return os\nA().m.system("id")',
    "4:24 Forbidden access: the module os as a value",
  ],
  [
    "generator",
    'import os\ndef g(): yield os\nfor m in g(): m.system("id")',
    "2:15 Forbidden access: the module os as a value",
  ],
  ["kwargs", 'import os\ndef f(**k): k["m"].system("id")\nf(m=os)', "3:4 Forbidden access: the module os as a value"],
  ["next iter", 'import os\nnext(iter([os])).system("id")', "2:11 Forbidden access: the module os as a value"],
  [
    "map lambda",
    'import os\nlist(map(lambda m: m.system("id"), [os]))',
    "2:36 Forbidden access: the module os as a value",
  ],
  [
    "reduce",
    'import os, functools\nfunctools.reduce(lambda a, m: m.system("id"), [os], 0)',
    "2:47 Forbidden access: the module os as a value",
  ],
  [
    "decorator class arg",
    'import os\ndef deco(f): return f(os)\n@deco\ndef m(x): x.system("id")',
    "2:22 Forbidden access: the module os as a value",
  ],
  [
    "dict of functions",
    'import os\ndef h(m): m.system("id")\n{"h": h}["h"](os)',
    "3:14 Forbidden access: the module os as a value",
  ],
  [
    "cond func",
    'import os\ndef h(m): m.system("id")\n(h if 1 else None)(os)',
    "3:19 Forbidden access: the module os as a value",
  ],
  [
    "enter",
    'import os\nclass A:\n    def __enter__(self): return os\n    def __exit__(self, *a): pass\nwith A() as m: m.system("id")',
    "3:32 Forbidden access: the module os as a value",
  ],
  [
    "namedtuple",
    'import os, collections\nT = collections.namedtuple("T", "x")\nT(os).x.system("id")',
    "3:2 Forbidden access: the module os as a value",
  ],
  ["append", 'import os\nl = []\nl.append(os)\nl[0].system("id")', "3:9 Forbidden access: the module os as a value"],
  ["setdefault", 'import os\n{}.setdefault("m", os).system("id")', "2:19 Forbidden access: the module os as a value"],
  ["list mult", 'import os\n([os] * 2)[0].system("id")', "2:2 Forbidden access: the module os as a value"],
  ["slice", 'import os\n[os, 1][:1][0].system("id")', "2:1 Forbidden access: the module os as a value"],
  ["type3", 'import os\ntype("A", (), {"m": os}).m.system("id")', "2:20 Forbidden access: the module os as a value"],
  [
    "super module",
    'import os, types\ntypes.ModuleType.__getattribute__(os, "system")("id")',
    "2:34 Forbidden access: the module os as a value",
  ],
  [
    "enum",
    'import os, enum\nclass E(enum.Enum):\n    A = os\nE.A.value.system("id")',
    "3:8 Forbidden access: the module os as a value",
  ],
  ["weakref", 'import os, weakref\nweakref.ref(os)().system("id")', "2:12 Forbidden access: the module os as a value"],
  [
    "metaclass",
    'import os\nclass M(type):\n    def __getattr__(c, n): return os\nclass A(metaclass=M): pass\nA.x.system("id")',
    "3:34 Forbidden access: the module os as a value",
  ],
  [
    "static method",
    'import os\nclass A:\n    @staticmethod\n    def f(m): m.system("id")\nA.f(os)',
    "5:4 Forbidden access: the module os as a value",
  ],
  [
    "mock patch object",
    'import os\nfrom unittest.mock import patch\npatch.object(os, "sys" + "tem").get_original()[0]("id")',
    "3:13 Forbidden access: the module os as a value",
  ],
  [
    "attrgetter map",
    'import os, operator\nlist(map(operator.attrgetter("system"), [os]))[0]("id")',
    "2:41 Forbidden access: the module os as a value",
  ],
  [
    "getmembers",
    'import os, inspect\ndict(inspect.getmembers(os))["system"]("id")',
    "2:24 Forbidden access: the module os as a value",
  ],
  [
    "lambda default closure",
    'import os\n(lambda f: f())(lambda: os).system("id")',
    "2:24 Forbidden access: the module os as a value",
  ],
  ["max", 'import os\nmax([os], key=id).system("id")', "2:5 Forbidden access: the module os as a value"],
  [
    "vars class",
    'import os\nclass A:\n    m = os\nA.__dict__["m"].system("id")',
    "3:8 Forbidden access: the module os as a value",
  ],
  [
    "optparse",
    'import sched, time, os\ns = sched.scheduler()\ns.enter(0, 1, lambda m: m.system("id"), (os,)); s.run()',
    "3:41 Forbidden access: the module os as a value",
  ],
  [
    "defaultdict",
    'import os, collections\ncollections.defaultdict(lambda: os)["m"].system("id")',
    "2:32 Forbidden access: the module os as a value",
  ],
  [
    "subscript dunder",
    'import os\nclass E:\n    def __getitem__(s, o): o.system("id")\nE()[os]',
    "4:4 Forbidden access: the module os as a value",
  ],
  [
    "defaults attr",
    'import os\ndef f(m=os): pass\nf.__defaults__[0].system("id")',
    "2:8 Forbidden access: the module os as a value",
  ],
  [
    "tb frame locals",
    'import os\nclass A:\n    def __init__(s, **k): s.__dict__.update(k)\nA(m=os).m.system("id")',
    "4:4 Forbidden access: the module os as a value",
  ],
  [
    "jinja pass os",
    "import jinja2, os\njinja2.Template(\"{{ m.system('id') }}\").render(m=os)",
    "2:49 Forbidden access: the module os as a value",
  ],
  [
    "np loadtxt conv",
    "import numpy as np\nprint(np.lib.npyio.pickle)",
    "2:6 Forbidden access: the module pickle as a value",
  ],
  [
    "pd agg name",
    'import pandas as pd, os\npd.core.common.pipe(os, lambda m: m.system("id"))',
    "2:20 Forbidden access: the module os as a value",
  ],
  [
    "iter class",
    'import os\nclass A:\n    def __iter__(s): return iter([os])\nfor m in A(): m.system("id")',
    "3:34 Forbidden access: the module os as a value",
  ],
  [
    "missing",
    'import os\nclass A(dict):\n    def __missing__(s, k): return os\nA()["x"].system("id")',
    "3:34 Forbidden access: the module os as a value",
  ],
  [
    "base mro entries",
    'import os\nclass B:\n    def __mro_entries__(s, b):\n        return ()\n    def __or__(s, o): o.system("id")\nB() | os',
    "6:6 Forbidden access: the module os as a value",
  ],
  [
    "class decorator",
    'import os\n@lambda c: c.o\nclass A: o = os\nA.system("id")',
    "2:11 Forbidden access: the module os as a value",
  ],
  [
    "posonly after star",
    'import os\ndef a(x, *y, **z): y[0].system("id")\na(1, os)',
    "3:5 Forbidden access: the module os as a value",
  ],
  ["star empty", 'import os\ndef a(m): m.system("id")\na(*[], os)', "3:7 Forbidden access: the module os as a value"],
  [
    "gather",
    'import os, asyncio\nasync def a(): return os\nasync def main():\n    for m in await asyncio.gather(a()): m.system("id")\nasyncio.run(main())',
    "2:22 Forbidden access: the module os as a value",
  ],
  ["nested list", 'import os\n[[os]][0][0].system("id")', "2:2 Forbidden access: the module os as a value"],
  [
    "mod subclass",
    'import os\nclass M(type(os)): pass\nm = M("x")\nm.__dict__.update(os.__dict__)\nm.system("id")',
    "2:13 Forbidden access: the module os as a value",
  ],
  [
    "inspect getsource",
    "import inspect\nprint(inspect.importlib)",
    "2:6 Forbidden access: the module importlib as a value",
  ],
  [
    "modgetattr",
    { "main.py": 'from a import zz\nzz.system("id")', "a.py": "import os\ndef __getattr__(n): return os" },
    "2:27 Forbidden access: the module os as a value",
  ],
  [
    "setfromoutside",
    { "main.py": "import os, a\na.x = os\na.f()", "a.py": 'x = 1\ndef f(): x.system("id")' },
    "2:6 Forbidden access: the module os as a value",
  ],
  [
    "modclass",
    {
      "main.py": 'from a import inst\ninst.get().system("id")',
      "a.py": "import os\nclass A:\n    def get(self): return os\ninst = A()",
    },
    "3:26 Forbidden access: the module os as a value",
  ],
  [
    "sysmodreplace",
    { "main.py": 'import a\na.system("id")', "a.py": "import sys, os\nsys.modules[__name__] = os" },
    "2:24 Forbidden access: the module os as a value",
  ],
  [
    "sysmodalias",
    { "main.py": 'import sys, os\nsys.modules["helper"] = os\nimport helper\nhelper.system("id")' },
    "2:24 Forbidden access: the module os as a value",
  ],
  [
    "noext",
    {
      "main.py":
        'import sys\nsys.modules["helper"] = sys.modules["builtins"]\nfrom helper import eval as e\ne("print(42)")',
    },
    "2:24 Forbidden access: the module builtins as a value",
  ],
])("does not get past: %s", (_title, source, expected) => {
  expectStopped(source, expected)
})

test.each<string>([
  "import os\nsystem = os\nsystem.path",
  "import os as o, sys as s\nx = y = o\nz: object = s",
  "import os\nif (o := os).name: pass",
  "import sys\nf'{sys}', sys.argv, sys is None",
  "import numpy as np\ndef f(xp=np): return xp\nf(np), {'np': np}, [np]",
  "import io, json\nf(io), f(json)",
  "import sys\ndef test(monkeypatch): monkeypatch.setattr(sys, 'argv', [])",
])("in sight: %s", (source) => {
  expect(scan(`${source}\n`).passed).toBe(true)
})
