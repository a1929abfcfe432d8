/** Ways past the scan that a second attacker found, with the first one's ways closed, and where each is stopped now. */
import { test } from "bun:test"
import { expectStopped, type Sources } from "./scanner.ts"

test.each<[string, string | Sources, string]>([
  ["stdmod lost", 'import logging\nnext(iter([logging])).os.system("echo PWN")', "2:0 Forbidden function: os.system"],
  [
    "catchwarn",
    'import warnings\nwarnings.catch_warnings()._module.sys.modules["os"].system("echo PWN")',
    "2:0 Forbidden function: os.system",
  ],
  [
    "getmodule",
    'import inspect, logging\ninspect.getmodule(logging.info).os.system("echo PWN")',
    "2:0 Forbidden function: os.system",
  ],
  [
    "classimport dict",
    'class C:\n    import os\nC.__dict__["os"].system("echo PWN")',
    "2:11 Forbidden access: the module os as a value",
  ],
  [
    "classimport enum",
    'import enum\nclass E(enum.Enum):\n    import os\nE["os"].value.system("echo PWN")',
    "3:11 Forbidden access: the module os as a value",
  ],
  [
    "classimport meta",
    'class M(type):\n    def __new__(m, n, b, ns):\n        ns["os"].system("echo PWN")\n        return type.__new__(m, n, b, ns)\nclass C(metaclass=M):\n    import os',
    "6:11 Forbidden access: the module os as a value",
  ],
  [
    "chain is",
    'import os\nclass K:\n    def __eq__(self, o):\n        o.system("echo PWN")\n        return True\n1 is not os == K()',
    "6:9 Forbidden access: the module os as a value",
  ],
  [
    "dictget",
    'import os\ng = os.__dict__.get\ng("system")("echo PWN")',
    "2:4 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "keysmapping",
    'import os\nos.__dict__.keys().mapping["system"]("echo PWN")',
    "2:0 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "sysmodules mapping",
    'import sys\nsys.modules.keys().mapping["o" + "s"].system("echo PWN")',
    "2:0 Forbidden access: sys.modules by a computed name",
  ],
  [
    "sysmodules not",
    'import sys\nnothing = {}\n(nothing | sys.modules)["o" + "s"].system("echo PWN")',
    "3:11 Forbidden access: sys.modules by a computed name",
  ],
  [
    "getattribute",
    'import os\ng = os.__getattribute__\ng("system")("echo PWN")',
    "2:4 Forbidden access: the module os as a value",
  ],
  [
    "optparse",
    'import optparse\nv = optparse.Values()\nv.read_module("os", "loose")\nv.system("echo PWN")',
    "3:0 Forbidden function: optparse.Values.read_module",
  ],
  [
    "optparse file",
    'import optparse, pathlib\npathlib.Path("/elsewhere/e.txt").write_text("print(\'PWN\')")\noptparse.Values().read_file("/elsewhere/e.txt")',
    "3:0 Forbidden function: optparse.Values.read_file",
  ],
  [
    "mockgetter",
    'from unittest import mock\nmock.patch("os.getcwd").getter().system("echo PWN")',
    "2:0 Forbidden function: unittest.mock.patch.getter",
  ],
  [
    "patchobject",
    'import os\nfrom unittest import mock\nmock.patch.object(os, "getcwd").getter().system("echo PWN")',
    "3:0 Forbidden function: unittest.mock.patch.object.getter",
  ],
  [
    "nsobject",
    'import os, types\ntypes.SimpleNamespace(object=lambda m, n: m.system("echo PWN")).object(os, "x")',
    "2:71 Forbidden access: the module os as a value",
  ],
  [
    "respath",
    'import importlib.resources._common as c\nc.resolve("os").system("echo PWN")',
    "1:0 Forbidden import: importlib.resources._common",
  ],
  [
    "entrypoints",
    'import importlib.metadata as md\nfor e in md.EntryPoints._from_text("[g]\\nn=os:system"):\n    e.load()("echo PWN")',
    "2:9 Forbidden function: importlib.metadata.EntryPoints",
  ],
  [
    "singledispatch",
    "from functools import singledispatch\n@singledispatch\ndef f(x): ...\ndef g(x: \"__imp\" + \"ort__('os').system('echo PWN')\"): ...\nf.register(g)",
    "4:9 Forbidden access: an annotation made at run time",
  ],
  [
    "pydantic",
    "from pydantic import BaseModel\nclass M(BaseModel):\n    x: \"__imp\" + \"ort__('os').system('echo PWN')\"",
    "3:7 Forbidden access: an annotation made at run time",
  ],
  [
    "codereplace",
    'f = lambda: print\ne = type(f)(f.__code__.replace(**{"co_" + "names": ("e" + "val",)}), {})()\ne("print(\'PWN\')")',
    "2:23 Forbidden access: __code__.replace",
  ],
  [
    "dis",
    "import dis\nf = lambda: 0\ntype(f)(dis.Bytecode(\"import os; os.system('echo PWN')\").codeobj, {})()",
    "3:8 Forbidden function: dis.Bytecode",
  ],
  [
    "picklegetattribute",
    'import pickle, logging\npickle._getattribute(logging, "os.system")[0]("echo PWN")',
    "2:0 Forbidden function: pickle._getattribute",
  ],
  [
    "saxparser",
    'import xml.sax\ntry:\n    xml.sax.make_parser(["th" + "is"])\nexcept AttributeError: pass',
    "3:4 Forbidden function: xml.sax.make_parser",
  ],
  [
    "path iter reduce",
    'import sys, pathlib\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\niter(sys.path).__reduce__()[1][0].append("/elsewhere/evild")\nimport evilm',
    "4:5 Forbidden access: sys.path",
  ],
  [
    "path tuple target",
    'import sys, pathlib\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\nsys.path[:0], y = ["/elsewhere/evild"], 1\nimport evilm',
    "4:0 Forbidden access: sys.path",
  ],
  [
    "path for target",
    'import sys, pathlib\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\nfor sys.path[0] in ["/elsewhere/evild"]: pass\nimport evilm',
    "4:4 Forbidden access: sys.path",
  ],
  [
    "path radd",
    'import sys, pathlib\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\nclass K:\n    def __radd__(self, p): p.append("/elsewhere/evild")\nsys.path + K()\nimport evilm',
    "6:0 Forbidden access: sys.path",
  ],
  [
    "path file0",
    'import sys, pathlib\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\nsys.path.append(__file__[0])\nimport tmp.evild.evilm',
    "4:0 Forbidden access: sys.path",
  ],
  [
    "path parents",
    'import sys, pathlib\nfrom pathlib import Path\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\nsys.path.append(str(Path(__file__).parents[(1)] / "evild"))\nimport evilm',
    "5:0 Forbidden access: sys.path",
  ],
  [
    "opcall cache",
    'from operator import call as cache\n@cache\ndef go():\n    print(open("/etc/hostname").read(), "PWN")\ndef open(p): ...',
    "4:10 Forbidden builtin: open",
  ],
  [
    "annot getitem",
    'class C:\n    def __class_getitem__(cls, k):\n        print(open("/etc/hostname").read(), "PWN")\ndef f(x: C[0]): ...\ndef open(p): ...',
    "3:14 Forbidden builtin: open",
  ],
  [
    "default getitem",
    'class C:\n    def __class_getitem__(cls, k):\n        print(open("/etc/hostname").read(), "PWN")\ndef f(x=C[0]): ...\ndef open(p): ...',
    "3:14 Forbidden builtin: open",
  ],
  [
    "sysmod name",
    'import sys\ndef go():\n    print(open("/etc/hostname").read(), "PWN")\nsys.modules[__name__].go()\ndef open(p): ...',
    "3:10 Forbidden builtin: open",
  ],
  [
    "delattr dunder",
    'import sys\ndef open(p): ...\nsys.modules[__name__].__delattr__("open")\nprint(open("/etc/hostname").read(), "PWN")',
    "4:6 Forbidden builtin: open",
  ],
  [
    "findspec",
    'import importlib.util\nnext(iter([importlib.util.find_spec("os")])).loader.load_module("os").system("echo PWN")',
    "2:52 Forbidden function: loader.load_module",
  ],
  ["execvpe", 'import os\nos._execvpe("echo", ["echo", "PWN"])', "2:0 Forbidden function: os._execvpe"],
  [
    "sysconfig",
    'import os, sys, sysconfig\nos.environ["_PYTHON_SYSCONFIGDATA_NAME"] = "this"\ntry:\n    sysconfig._init_posix({})\nexcept AttributeError: pass',
    "4:4 Forbidden function: sysconfig._init_posix",
  ],
  [
    "listrebind",
    'import sys\ndef f(list):\n    return list(sys.modules)\nf(lambda d: d["o" + "s"]).system("echo PWN")',
    "3:16 Forbidden access: sys.modules by a computed name",
  ],
  [
    "eqassign",
    'import sys\nclass K:\n    __eq__ = lambda self, o: o["o" + "s"].system("echo PWN")\nsys.modules == K()',
    "4:0 Forbidden access: sys.modules by a computed name",
  ],
  [
    "castown",
    "import types, dis\ncast = lambda t: t\nF = cast(types.FunctionType)\nF(dis.Bytecode(\"print('PWN')\").codeobj, {})()",
    "3:9 Forbidden function: types.FunctionType",
  ],
  [
    "modulegetattr",
    'import sys, logging\ndef __getattr__(name): return logging\nsys.modules[__name__].foo.os.system("echo PWN")',
    "3:0 Forbidden function: os.system",
  ],
  [
    "abcmachinery",
    'import importlib.abc, pathlib\npathlib.Path("/elsewhere/e.py").write_text("print(\'PWN\')")\nimportlib.abc.machinery.SourceFileLoader("x", "/elsewhere/e.py").load_module()',
    "3:0 Forbidden function: importlib.abc.machinery",
  ],
  [
    "patch own",
    'import os, types\nclass P: pass\np = P()\np.setattr = lambda m, n: m.system("echo PWN")\np.setattr(os, "x")',
    "5:10 Forbidden access: the module os as a value",
  ],
  [
    "mock target",
    'from unittest import mock\nmock._get_target("os.system")[0]().system("echo PWN")',
    "2:0 Forbidden function: unittest.mock._get_target",
  ],
  [
    "pkgvsmod",
    { "main.py": 'from own import m\nm.system("echo PWN")', "own.py": "m = None", "own/__init__.py": "import os as m" },
    "2:0 Forbidden function: os.system",
  ],
  [
    "ziplib",
    {
      "main.py":
        'import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))\nimport evilz',
    },
    "2:0 Forbidden access: sys.path",
  ],
  [
    "method on os path",
    'import os\np = os.path\nmax([p], key=id).os.system("echo PWN")',
    "3:0 Forbidden function: os.system",
  ],
  [
    "getmembers own",
    'import sys, os\nmax([sys.modules[__name__]], key=id).os.system("echo PWN")',
    "2:0 Forbidden function: os.system",
  ],
  [
    "class from import",
    'class C:\n    import builtins as b\ndict(C.__dict__)["b"].exec("print(\'PWN\')")',
    "2:11 Forbidden access: the module builtins as a value",
  ],
  [
    "type code",
    'import modulefinder, pathlib\npathlib.Path("/elsewhere/e.txt").write_text("print(\'PWN\')")\nm = modulefinder.ModuleFinder()\nm.run_script("/elsewhere/e.txt")\ntype(lambda: 0)(m.modules["__main__"].__code__, {})()',
    "1:0 Forbidden import: modulefinder",
  ],
  [
    "values mapping proxy",
    'import os\ng = os.__dict__.__getitem__\nlist(map(g, ["system"]))[0]("echo PWN")',
    "2:4 Forbidden access: os.__dict__ as a whole",
  ],
  [
    "picklereadcode",
    'import pkgutil, pathlib, dis\nwith pathlib.Path("/elsewhere/e.pyc").open("rb") as fh:\n    type(lambda: 0)(pkgutil.read_code(fh), {})()',
    "3:20 Forbidden function: pkgutil.read_code",
  ],
  [
    "args computed",
    'import numpy as np\nk = "allow_" + "pickle"\nclass L:\n    go = np.load\nL.go("/elsewhere/p.npy", None, True)',
    "4:9 Forbidden function: numpy.load",
  ],
  [
    "modulefinder none",
    'import sys\nclass K:\n    def __rmul__(self, d): return d\n    def __or__(self, d): return d\nnotmine = K()\n(notmine | sys.modules)["o" + "s"].system("echo PWN")',
    "6:11 Forbidden access: sys.modules by a computed name",
  ],
  [
    "own readers",
    'import sys, pathlib\npathlib.Path("/elsewhere/evild").mkdir(exist_ok=True)\npathlib.Path("/elsewhere/evild/evilm.py").write_text("print(\'PWN\')")\nlen = lambda p: p.append("/elsewhere/evild")\nlen(sys.path)\nimport evilm',
    "5:4 Forbidden access: sys.path",
  ],
  [
    "typing forward",
    'import typing\nclass M:\n    x: "__imp" + "ort__(\'os\').system(\'echo PWN\')"\nf = [v for k, v in typing.__dict__.items() if k == "get_" + "type_hints"][0]\nf(M)',
    "3:7 Forbidden access: an annotation made at run time",
  ],
  [
    "nspace std",
    'import logging\nlogging.__dict__["o" + "s"].system("echo PWN")',
    "2:0 Forbidden access: a computed name of logging. Name the attribute",
  ],
])("does not get past: %s", (_title, source, expected) => {
  expectStopped(source, expected)
})
