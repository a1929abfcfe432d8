/** Names with the power of a forbidden one: straight, aliased, evasive; each with its verdict and place. */
import { describe, expect, test } from "bun:test"
import { EQUAL_POWER } from "../../src/validator/equal-power/lookup.ts"
import { briefly, followed, type Sources, scan } from "./scanner.ts"

const IMPORTED_MODULES = EQUAL_POWER.flatMap(({ modules = [], severity }) =>
  modules.map((module): [string, string] => [module, severity]),
)

describe.each(IMPORTED_MODULES)("module %s", (module, severity) => {
  const expected = severity === "error" ? `Forbidden import: ${module}` : `Use of ${module}`
  test.each([`import ${module}\n`, `import json, ${module} as m\n`, `from ${module} import anything\n`])(
    "is found in %j",
    (source) => {
      const result = scan(source)
      expect(result.passed).toBe(severity === "warning")
      expect(briefly(result)).toContain(`1:0 ${expected}`)
    },
  )

  test("is not meant by a relative import or a longer name", () => {
    const source = `from .${module} import x\nfrom .deep.${module} import y\nimport ${module}_x\nz = "${module}"\n`
    expect(scan(source)).toEqual({ passed: true, warnings: [] })
  })
})

/** Names that can be written as `import module` and then `module.name`. */
const PLAIN_NAMES = EQUAL_POWER.filter(({ unless }) => unless === undefined).flatMap(({ names = [], severity }) =>
  names
    .filter((name) => /^\w+(?:\.\w+)+$/.test(name) && !/^builtins\./.test(name))
    .map((name) => [name, severity] as const),
)

test.each(PLAIN_NAMES)("%s is found as an attribute, by an alias and by a from-import", (name, severity) => {
  const module = name.slice(0, name.lastIndexOf("."))
  const member = name.slice(name.lastIndexOf(".") + 1)
  const what = /^sys\.(?:meta_path|path_)/.test(name) ? "access" : "function"
  const of = (what: string) => (severity === "error" ? `Forbidden ${what}: ${name}` : `Use of ${name}`)
  expect(briefly(scan(`import ${module}\nx = ${name}\n`))).toContain(`2:4 ${of(what)}`)
  expect(briefly(scan(`import ${module} as m\nm.${member}(1)\n`))).toContain(`2:0 ${of(what)}`)
  expect(briefly(scan(`from ${module} import ${member} as f\n`))).toContain(`1:${13 + module.length} ${of("import")}`)
})

test.each<[string, string, string[]]>([
  ["breakpoint", "breakpoint()", ["1:0 Forbidden function: breakpoint"]],
  ["breakpoint through builtins", "import builtins as b\nb.breakpoint", ["2:0 Forbidden function: breakpoint"]],
  ["a module's loader", "__loader__.load_module('os')", ["1:0 Forbidden access: __loader__"]],
  ["another module's loader", "import json\njson.__loader__", ["2:5 Forbidden access: __loader__"]],
  ["the loader of a spec", "__spec__.loader", ["1:9 Forbidden access: __spec__.loader"]],
  ["the loader of another's spec", "import json\njson.__spec__.loader", ["2:14 Forbidden access: __spec__.loader"]],
  [
    "the loader of a spec that was found",
    "import importlib.util as u\nu.find_spec('os').loader",
    ["2:0 Forbidden function: importlib.util.find_spec.loader"],
  ],
  [
    "the loader of a spec kept in a name",
    "from importlib import util\ns = util.find_spec('os')\ns.loader.load_module('os')",
    ["3:0 Forbidden function: importlib.util.find_spec.loader", "3:9 Forbidden function: loader.load_module"],
  ],
  [
    "a subprocess module as an attribute",
    "import asyncio\nasyncio.subprocess.PIPE",
    ["2:0 Forbidden import: asyncio.subprocess"],
  ],
  [
    "a subprocess of asyncio, imported",
    "from asyncio import subprocess",
    ["1:20 Forbidden import: asyncio.subprocess"],
  ],
  [
    "a method of the loop",
    "import asyncio\nasyncio.get_event_loop().subprocess_shell(x, 'ls')",
    ["2:25 Forbidden function: subprocess_shell"],
  ],
  ["a method of any loop", "def f(loop): return loop.subprocess_exec", ["1:25 Forbidden function: subprocess_exec"]],
  [
    "a raw connection of the loop",
    "import asyncio\nloop = asyncio.get_running_loop()\nloop.create_connection(p, 'h', 1)",
    ["3:0 Forbidden function: asyncio.get_running_loop.create_connection"],
  ],
  [
    "the pool of processes under its submodule",
    "from concurrent.futures import process",
    ["1:31 Forbidden import: concurrent.futures.process"],
  ],
  [
    "the pool of processes by two aliases",
    "import concurrent.futures as cf\nP = cf.ProcessPoolExecutor\nP()",
    [
      "2:4 Forbidden function: concurrent.futures.ProcessPoolExecutor",
      "3:0 Forbidden function: concurrent.futures.ProcessPoolExecutor",
    ],
  ],
  [
    "a pool of threads",
    "from concurrent.futures import ThreadPoolExecutor",
    ["1:31 Use of concurrent.futures.ThreadPoolExecutor"],
  ],
  [
    "torch's multiprocessing",
    "import torch\ntorch.multiprocessing.spawn",
    ["2:0 Forbidden import: torch.multiprocessing"],
  ],
  [
    "a method of psutil's process",
    "import psutil\npsutil.Process(1).kill()",
    ["2:0 Forbidden function: psutil.Process.kill"],
  ],
  ["posix instead of os", "import posix\nposix.posix_spawn", ["2:0 Forbidden function: posix.posix_spawn"]],
  ["an exit without end", "import os\nos._exit(1)", ["2:0 Use of os._exit"]],
  [
    "os.open",
    "from os import open as o\no('f', 0)",
    ["1:15 Forbidden import: os.open", "2:0 Forbidden function: os.open"],
  ],
  [
    "a frame",
    "import sys\nsys._getframe(1).f_globals",
    ["2:0 Forbidden function: sys._getframe", "2:17 Use of f_globals"],
  ],
  [
    "a frame through another module's sys",
    "import logging\nlogging.sys._getframe()",
    ["2:0 Forbidden function: sys._getframe"],
  ],
  [
    "a frame of inspect",
    "import inspect\nf = inspect.currentframe().f_back",
    ["2:4 Forbidden function: inspect.currentframe", "2:27 Use of f_back"],
  ],
  [
    "inspect through another module",
    "import dataclasses\ndataclasses.inspect.stack",
    ["2:0 Forbidden function: inspect.stack"],
  ],
  [
    "a traceback's frame",
    "def f(e): return e.__traceback__.tb_frame.f_builtins",
    ["1:33 Use of tb_frame", "1:42 Use of f_builtins"],
  ],
  ["a generator's frame", "g.gi_frame", ["1:2 Use of gi_frame"]],
  [
    "eval in a frame's builtins",
    "e.tb_frame.f_builtins['eval']",
    ["1:0 Forbidden builtin: eval", "1:2 Use of tb_frame", "1:11 Use of f_builtins"],
  ],
  [
    "os in a function's globals",
    "f.__globals__['os'].system",
    ["1:0 Forbidden function: os.system", "1:2 Use of __globals__"],
  ],
  [
    "eval by way of a function's globals",
    "f.__globals__['__builtins__']['eval']",
    ["1:0 Forbidden builtin: eval", "1:2 Use of __globals__"],
  ],
  [
    "the builtins of another module",
    "import json\njson.__builtins__['exec']",
    ["2:0 Forbidden builtin: exec", "2:5 Use of __builtins__"],
  ],
  ["the module of a builtin function", "print.__self__.eval", ["1:0 Forbidden builtin: eval", "1:6 Use of __self__"]],
  ["every object", "from gc import get_objects as g", ["1:15 Forbidden import: gc.get_objects"]],
  [
    "sys.modules by a computed name",
    "import sys\nsys.modules[x]",
    ["2:0 Forbidden access: sys.modules by a computed name"],
  ],
  [
    "sys.modules.get by a computed name",
    "import sys\nsys.modules.get(x)",
    ["2:0 Forbidden access: sys.modules by a computed name"],
  ],
  [
    "sys.modules by its values",
    "import sys\nfor m in sys.modules.values(): m",
    ["2:9 Forbidden access: sys.modules by a computed name"],
  ],
  ["sys.modules copied", "import sys\nd = dict(sys.modules)", ["2:9 Forbidden access: sys.modules by a computed name"]],
  [
    "sys.modules handed on",
    "from sys import modules as m\nf(m)",
    ["2:2 Forbidden access: sys.modules by a computed name"],
  ],
  [
    "sys.modules under a name",
    "import sys\nm = sys.modules\nm['o' + 's']",
    ["3:0 Forbidden access: sys.modules by a computed name"],
  ],
  [
    "sys.modules by a false __name__",
    "import sys\n__name__ = 'os'\nsys.modules[__name__]",
    ["2:0 Forbidden access: __name__ is changed", "3:0 Forbidden access: sys.modules by a computed name"],
  ],
  ["sys.modules spread", "import sys\nd = {**sys.modules}", ["2:7 Forbidden access: sys.modules by a computed name"]],
  [
    "sys by a computed name",
    "import sys\nsys.__dict__[x]",
    ["2:0 Forbidden access: a computed name of sys. Name the attribute"],
  ],
  [
    "attrgetter on os",
    "import operator, os\noperator.attrgetter('system')(os)('ls')",
    ["2:0 Forbidden function: os.system"],
  ],
  [
    "attrgetter kept in a name",
    "from operator import attrgetter as a\nimport os\ng = a('system')\ng(os)",
    ["4:0 Forbidden function: os.system"],
  ],
  [
    "attrgetter through a path",
    "import operator, logging\noperator.attrgetter('os.fork')(logging)",
    ["2:0 Forbidden function: os.fork"],
  ],
  [
    "methodcaller on os",
    "import operator, os\noperator.methodcaller('system', 'ls')(os)",
    ["2:0 Forbidden function: os.system"],
  ],
  [
    "attrgetter by a computed name",
    "from operator import attrgetter\nattrgetter(x)",
    ["2:0 Use of operator.attrgetter"],
  ],
  [
    "attrgetter by a computed name on os",
    "from operator import attrgetter\nimport os\nattrgetter(x)(os)",
    ["3:0 Forbidden access: a computed name of os. Name the attribute", "3:0 Use of operator.attrgetter"],
  ],
  [
    "attrgetter of a dunder",
    "from operator import attrgetter\nattrgetter('__globals__')",
    ["2:0 Use of operator.attrgetter"],
  ],
  [
    "a function made of code",
    "import types\ntypes.FunctionType(c, {})",
    ["2:0 Forbidden function: types.FunctionType"],
  ],
  ["its second name", "from types import LambdaType as F\nF(c, {})", ["2:0 Forbidden function: types.LambdaType"]],
  ["its alias", "import types\nF = types.FunctionType", ["2:4 Forbidden function: types.FunctionType"]],
  ["a code object", "import types\ntypes.CodeType(0)", ["2:0 Forbidden function: types.CodeType"]],
  [
    "a profiler that runs text",
    "import cProfile\ncProfile.Profile().run('x')",
    ["2:0 Forbidden function: cProfile.Profile.run"],
  ],
  ["the file type of _io", "from _io import FileIO\nFileIO(p)", ["2:0 Forbidden function: _io.FileIO"]],
  ["the file type of io", "import io\nio.FileIO(p)", ["2:0 Forbidden function: io.FileIO"]],
  [
    "numpy.load with pickles",
    "import numpy as np\nnp.load(f, allow_pickle=True)",
    ["2:0 Forbidden function: numpy.load"],
  ],
  [
    "numpy.load with perhaps pickles",
    "import numpy as np\nnp.load(f, allow_pickle=flag)",
    ["2:0 Forbidden function: numpy.load"],
  ],
  [
    "numpy.load with pickles by place",
    "import numpy as np\nnp.load(f, None, True)",
    ["2:0 Forbidden function: numpy.load"],
  ],
  ["numpy.load with unknown options", "import numpy as np\nnp.load(f, **o)", ["2:0 Forbidden function: numpy.load"]],
  [
    "numpy.load under an alias",
    "from numpy import load as l\nl(f, allow_pickle=1)",
    ["2:0 Forbidden function: numpy.load"],
  ],
  [
    "numpy.load in partial",
    "import numpy as np\nfrom functools import partial\npartial(np.load, allow_pickle=True)",
    ["3:8 Forbidden function: numpy.load"],
  ],
  [
    "torch.load of everything",
    "import torch\ntorch.load(f, weights_only=False)",
    ["2:0 Forbidden function: torch.load"],
  ],
  [
    "torch.load under an alias",
    "import torch as t\nl = t.load\nl(f, weights_only=False)",
    ["3:0 Forbidden function: torch.load"],
  ],
  ["dill", "import dill\ndill.loads(b)", ["1:0 Use of dill", "2:0 Forbidden function: dill.loads"]],
  [
    "cloudpickle, imported",
    "from cloudpickle import loads",
    ["1:0 Use of cloudpickle", "1:24 Forbidden import: cloudpickle.loads"],
  ],
  [
    "yaml's unsafe loader",
    "import yaml\nyaml.load(f, Loader=yaml.UnsafeLoader)",
    ["2:20 Forbidden function: yaml.UnsafeLoader"],
  ],
  ["an extension of sqlite", "db.enable_load_extension(True)", ["1:3 Forbidden function: enable_load_extension"]],
  [
    "a library of onnxruntime",
    "options.register_custom_ops_library('a')",
    ["1:8 Forbidden function: register_custom_ops_library"],
  ],
  ["a name in compatibility form", "import ｒｕｎｐｙ", ["1:0 Forbidden import: runpy"]],
  ["a member in compatibility form", "import sys\nsys._ｇetframe", ["2:0 Forbidden function: sys._getframe"]],
  ["a walrus", "import signal\n(s := signal).pthread_kill", ["2:0 Forbidden function: signal.pthread_kill"]],
  ["a dict", "import gc\nd = {'g': gc}\nd['g'].get_referrers", ["3:0 Forbidden function: gc.get_referrers"]],
  ["a tuple", "import codecs\na, b = 1, codecs\nb.open", ["3:0 Forbidden function: codecs.open"]],
  ["a parameter", "import codecs\ndef f(c): c.open\nf(codecs)", ["2:10 Forbidden function: codecs.open"]],
  [
    "an attribute of self",
    "import gc\nclass A:\n  def __init__(self): self.g = gc\n  def f(self): self.g.get_objects()",
    ["4:15 Forbidden function: gc.get_objects"],
  ],
  ["a module's dict", "import gc\ngc.__dict__['get_objects']", ["2:0 Forbidden function: gc.get_objects"]],
  ["a star import", "from gc import *\nget_objects()", ["2:0 Forbidden function: gc.get_objects"]],
  ["dead code", "import gc\nif False:\n  gc.get_objects", ["3:2 Forbidden function: gc.get_objects"]],
  ["a default", "import gc\ndef f(g=gc.get_objects): pass", ["2:8 Forbidden function: gc.get_objects"]],
  ["a decorator", "import inspect\n@inspect.stack\ndef f(): pass", ["2:1 Forbidden function: inspect.stack"]],
  ["sys.modules' entry", "import sys\nsys.modules['gc'].get_objects", ["2:0 Forbidden function: gc.get_objects"]],
  ["a module of equal power in sys.modules", "import sys\nsys.modules['runpy']", ["2:0 Forbidden import: runpy"]],
])("is found: %s", (_title, source, expected) => {
  expect(followed(scan(`${source}\n`))).toEqual(expected)
})

test.each<[string, Sources, string[]]>([
  [
    "a helper that hands on a module",
    { "a.py": "import gc as g\n", "core.py": "from .a import g\ng.get_objects\n" },
    ["2:0 Forbidden function: gc.get_objects"],
  ],
  [
    "a helper that hands on a name",
    { "a.py": "from sys import modules as m\n", "core.py": "from .a import m\nm[x]\n" },
    ["2:0 Forbidden access: sys.modules by a computed name"],
  ],
  ["a file in capital letters", { "A.PY": "import runpy\n" }, ["1:0 Forbidden import: runpy"]],
])("is found across files: %s", (_title, sources, expected) => {
  expect(followed(scan(sources))).toEqual(expected)
})

test("the finding says why, and what to use instead", () => {
  expect(scan("import gc\ngc.get_objects()\n")).toEqual({
    passed: false,
    violations: [
      {
        file: "core.py",
        line: 2,
        column: 0,
        message:
          "Forbidden function: gc.get_objects (reaches every object of the process). Keep your own references, weak ones if need be.",
        severity: "error",
      },
    ],
  })
})

test("warnings of weaker kin fail in strict mode", () => {
  const source = "from concurrent.futures import ThreadPoolExecutor\n"
  expect(scan(source).passed).toBe(true)
  expect(scan(source, { strict: true })).toMatchObject({ passed: false, violations: [{ severity: "error" }] })
})

test("compat-2026-03 lets kin of getattr pass, and nothing else", () => {
  const source = "import inspect, operator\ninspect.getattr_static(x, 'a'), operator.attrgetter(y)\ninspect.stack\n"
  expect(briefly(scan(source, { ruleSet: "compat-2026-03" }))).toEqual(["3:0 Forbidden function: inspect.stack"])
})
