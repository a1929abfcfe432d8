/** Ways to forbidden functions through libraries that somebody found with the tables open, and where each is stopped now. */
import { test } from "bun:test"
import { expectStopped, type Sources } from "./scanner.ts"

test.each<[string, string | Sources, string]>([
  ["posix via shutil", 'import shutil\nshutil.posix.system("id")', "2:0 Forbidden function: posix.system"],
  ["http socket", "import http.client\nprint(http.client.socket.socket())", "2:6 Forbidden import: socket"],
  ["handlers socket", "from logging.handlers import socket\nprint(socket.socket())", "1:29 Forbidden import: socket"],
  [
    "inspect types",
    "import inspect\nf = inspect.types.FunctionType\nprint(f)",
    "2:4 Forbidden function: types.FunctionType",
  ],
  [
    "mock patch",
    'from unittest.mock import patch\npatch("os.system").get_original()[0]("id")',
    "2:19 Forbidden function: get_original",
  ],
  [
    "mock patch eval",
    'from unittest.mock import patch\nf, _ = patch("builtins.eval").get_original()\nprint(f("6*7"))',
    "2:30 Forbidden function: get_original",
  ],
  [
    "logging resolve",
    'import logging.config\nlogging.config._resolve("os.system")("id")',
    "2:0 Forbidden function: logging.config._resolve",
  ],
  [
    "logging baseconf",
    'import logging.config\nlogging.config.BaseConfigurator({}).resolve("os.system")("id")',
    "2:0 Forbidden function: logging.config.BaseConfigurator",
  ],
  [
    "logging ext",
    'import logging.config\nlogging.config.BaseConfigurator({"a": "ext://os.system"}).config["a"]("id")',
    "2:0 Forbidden function: logging.config.BaseConfigurator",
  ],
  [
    "logging call",
    'import logging.config\nlogging.config.DictConfigurator({}).configure_custom({"()": "os.system", "command": "id"})',
    "2:0 Forbidden function: logging.config.DictConfigurator",
  ],
  [
    "formatter sub",
    'import os, string\nclass F(string.Formatter): pass\nF().get_field("0.system", (os,), {})[0]("id")',
    "3:0 Forbidden function: string.Formatter.get_field",
  ],
  [
    "formatter override",
    'import os, string\nclass F(string.Formatter):\n    def format_field(self, v, s): v("id"); return ""\nF().format("{0.system}", os)',
    "4:0 Forbidden function: string.Formatter.format",
  ],
  [
    "formatter unbound",
    'import os, string\nstring.Formatter.get_field(string.Formatter(), "0.system", (os,), {})[0]("id")',
    "2:0 Forbidden function: string.Formatter.get_field",
  ],
  [
    "find spec priv",
    'import importlib.util\nimportlib.util._find_spec("subprocess", None).loader.load_module("subprocess").run("id")',
    "2:0 Forbidden function: importlib.util._find_spec",
  ],
  [
    "site addsitepackages",
    'import site, pathlib, tempfile, sys\nd = pathlib.Path(tempfile.mkdtemp())\np = d / "lib" / ("python%d.%d" % sys.version_info[:2]) / "site-packages"\np.mkdir(parents=True)\n(p / "a.pth").write_text("import os; os.system(\'id\')\\n")\nsite.PREFIXES[:] = [str(d)]\nsite.addsitepackages(set(), [str(d)])',
    "7:0 Forbidden function: site.addsitepackages",
  ],
  ["self lenalias", 'import os\nos.getcwd.__self__.system("id")', "2:0 Forbidden function: os.system"],
  [
    "subclasses",
    '[c for c in object.__subclasses__() if c.__name__ == "_wrap_close"][0].__init__.__globals__["system"]("id")',
    "1:0 Forbidden function: os.system",
  ],
  [
    "globals keyed",
    'import tempfile\ntempfile.mkdtemp.__globals__["_os"].system("id")',
    "2:0 Forbidden function: os.system",
  ],
  ["globals system", 'import os\nos.walk.__globals__["system"]("id")', "2:0 Forbidden function: os.system"],
  [
    "self module",
    'import os, sys\nme = sys.modules[__name__]\nme.os.system("id")',
    "3:0 Forbidden function: os.system",
  ],
  [
    "pipes",
    'import pipes\nt = pipes.Template(); t.append("id", "--")\nt.copy("/etc/hostname", "/dev/stdout")',
    "1:0 Forbidden import: pipes",
  ],
  [
    "platform popen",
    'import platform\nprint(platform.os.name)\nplatform._syscmd_file("/bin/ls")',
    "3:0 Forbidden function: platform._syscmd_file",
  ],
  ["uuid", 'import uuid\nprint(uuid._get_command_stdout("id"))', "2:6 Forbidden function: uuid._get_command_stdout"],
  [
    "uuid2",
    'import uuid\nprint(uuid._get_command_stdout("id").read())',
    "2:6 Forbidden function: uuid._get_command_stdout",
  ],
  ["osx support", 'import _osx_support\nprint(_osx_support._read_output("id"))', "1:0 Forbidden import: _osx_support"],
  ["aix", "import _aix_support\nprint(_aix_support)", "1:0 Forbidden import: _aix_support"],
  [
    "bootsubprocess",
    'import _bootsubprocess\nprint(_bootsubprocess.check_output(["/usr/bin/id"]))',
    "1:0 Forbidden import: _bootsubprocess",
  ],
  [
    "crypt test",
    "from test.support import run_in_subinterp\nprint(run_in_subinterp)\nrun_in_subinterp(\"import os; os.system('id')\")",
    "1:25 Forbidden import: test.support.run_in_subinterp",
  ],
  [
    "test import helper",
    'from test.support import import_helper\nimport_helper.import_fresh_module("subprocess").run("id")',
    "1:25 Forbidden import: test.support.import_helper",
  ],
  [
    "gettext lib2to3",
    "from lib2to3.refactor import RefactoringTool, _get_headnode_dict\nprint(1)",
    "1:0 Forbidden import: lib2to3.refactor",
  ],
  [
    "unittest loader",
    'import unittest\nl = unittest.TestLoader()\nclass L(unittest.TestLoader): pass\nL().discover("/tmp/nowhere")',
    "4:0 Forbidden function: unittest.TestLoader.discover",
  ],
  [
    "star import private",
    'from shutil import *\nfrom shutil import posix as p\np.system("id")',
    "3:0 Forbidden function: posix.system",
  ],
  [
    "N escape modules",
    'import sys, os\nsys.modules["\\N{LATIN SMALL LETTER O}s"].system("id")',
    "2:0 Forbidden function: os.system",
  ],
  [
    "N escape dict",
    'import os\nos.__dict__["\\N{LATIN SMALL LETTER S}ystem"]("id")',
    "2:0 Forbidden function: os.system",
  ],
  [
    "N escape methodcaller",
    'import os, operator\noperator.methodcaller("\\N{LATIN SMALL LETTER S}ystem", "id")(os)',
    "2:0 Forbidden function: os.system",
  ],
  ["main del", 'import __main__\neval = 1\ndel __main__.eval\nprint(eval("6*7"))', "1:0 Forbidden import: __main__"],
  [
    "main call before",
    'import __main__\ndef f(): return eval("6*7")\nprint(__main__.f())\ndef eval(x): pass',
    "1:0 Forbidden import: __main__",
  ],
  [
    "jinja import",
    'import jinja2.utils\njinja2.utils.import_string("os.system")("id")',
    "2:0 Forbidden function: jinja2.utils.import_string",
  ],
  [
    "flask config",
    'import flask\nflask.Config(".").from_pyfile("/tmp/elsewhere/evil.cfg")',
    "2:0 Forbidden function: flask.Config.from_pyfile",
  ],
  [
    "np measure",
    "import numpy.testing as t\nt.measure(\"import os; os.system('id')\", 1)",
    "2:0 Forbidden function: numpy.testing.measure",
  ],
  [
    "np measure from",
    "from numpy.testing import measure\nmeasure(\"import os; os.system('id')\", 1)",
    "1:26 Forbidden import: numpy.testing.measure",
  ],
  [
    "np npz",
    'import numpy as np, io\nclass R:\n    def __reduce__(s): return (print, ("unpickled",))\nb = io.BytesIO()\nnp.savez(b, a=np.array([R()], dtype=object)); b.seek(0)\nnp.lib.npyio.NpzFile(b, allow_pickle=True)["a"]',
    "6:24 Forbidden argument: allow_pickle",
  ],
  [
    "np load partial",
    'import numpy as np, io\nclass R:\n    def __reduce__(s): return (print, ("unpickled",))\nb = io.BytesIO()\nnp.save(b, np.array([R()], dtype=object)); b.seek(0)\nl = np.load\nl.__call__(b, allow_pickle=True)',
    "7:0 Forbidden function: numpy.load",
  ],
  [
    "np load alias",
    'import numpy as np, io\nclass R:\n    def __reduce__(s): return (print, ("unpickled",))\nb = io.BytesIO()\nnp.save(b, np.array([R()], dtype=object)); b.seek(0)\n(np.load if 1 else 0)(b, allow_pickle=True)',
    "6:1 Forbidden function: numpy.load",
  ],
  [
    "np load splat",
    'import numpy as np, io\nclass R:\n    def __reduce__(s): return (print, ("unpickled",))\nb = io.BytesIO()\nnp.save(b, np.array([R()], dtype=object)); b.seek(0)\nnp.load(*(b, None, True))',
    "6:0 Forbidden function: numpy.load",
  ],
  [
    "np load dup",
    'import numpy as np, io\nnp.load.__wrapped__ if 0 else 0\ndef call(f, *a, **k): return f(*a, **k)\nclass R:\n    def __reduce__(s): return (print, ("unpickled",))\nb = io.BytesIO()\nnp.save(b, np.array([R()], dtype=object)); b.seek(0)\nclass H: load = np.load\nH.load(b, allow_pickle=True)',
    "9:10 Forbidden argument: allow_pickle",
  ],
  [
    "pd optional",
    'from pandas.compat._optional import import_optional_dependency as i\ni("subprocess").run("id")',
    "1:0 Forbidden import: pandas.compat._optional",
  ],
  [
    "pd handle",
    'from pandas.io.common import get_handle\nprint(get_handle("/etc/hostname", "r").handle.read())',
    "1:29 Forbidden import: pandas.io.common.get_handle",
  ],
  [
    "pydantic importstring",
    'import pydantic.types as t, pydantic\nprint(pydantic.TypeAdapter(t.ImportString).validate_python("os.system")("id"))',
    "2:27 Forbidden function: pydantic.types.ImportString",
  ],
  [
    "pydantic priv",
    'from pydantic._internal._validators import import_string\nimport_string("os.system")("id")',
    "1:0 Forbidden import: pydantic._internal._validators",
  ],
  [
    "decorator fm",
    "import decorator\nprint(decorator.FunctionMaker.create(\"f(x)\", \"return __import__('os').system('id')\", {})(1))",
    "2:6 Forbidden function: decorator.FunctionMaker",
  ],
  [
    "sympy lambdify",
    "import sympy\nprint(sympy.lambdify([], \"__import__('os').system('id')\")())",
    "2:6 Forbidden function: sympy.lambdify",
  ],
  [
    "docker cli",
    'import click\nclick.launch("/etc/hostname"); click.edit("x", editor="id #")',
    "2:0 Forbidden function: click.launch",
  ],
  ["click edit", 'import click\nclick.edit("x", editor="id; true")', "2:0 Forbidden function: click.edit"],
  [
    "click pager",
    'import click, os\nclick.utils.LazyFile("/etc/hostname").open().read()\nprint(click.open_file("/etc/hostname").read())',
    "3:6 Forbidden function: click.open_file",
  ],
  [
    "ipython",
    'from IPython.utils.process import getoutput\nprint(getoutput("id"))',
    "1:34 Forbidden import: IPython.utils.process.getoutput",
  ],
  [
    "logging open",
    'import logging\nh = logging.FileHandler("/tmp/elsewhere/log.out"); print(h._builtin_open("/etc/hostname").read())',
    "2:59 Forbidden function: _builtin_open",
  ],
  ["asyncio pipe", "import asyncio\nprint(asyncio.selector_events.socket.socket())", "2:6 Forbidden import: socket"],
  ["ssl ctx", "import urllib.request\nprint(urllib.request.socket.socket())", "2:6 Forbidden import: socket"],
  [
    "selectors",
    "import email.utils\nprint(email.utils.socket)\nimport uuid\nprint(uuid.uuid1)",
    "2:6 Forbidden import: socket",
  ],
  ["fcntl via", "import termios, mailbox\nprint(mailbox.fcntl)", "2:6 Forbidden import: fcntl"],
  [
    "ctypes via",
    "import numpy as np\nprint(np.arange(3).ctypes._ctypes, np.zeros(1).ctypes.data_as)",
    "2:26 Forbidden function: _ctypes",
  ],
  [
    "np ctypes",
    'import numpy as np\nct = np.zeros(1).ctypes._ctypes\nct.CDLL(None).system(b"id")',
    "2:24 Forbidden function: _ctypes",
  ],
  [
    "imaplib stream",
    'import imaplib\nc = imaplib.IMAP4_stream("id >&2")',
    "2:4 Forbidden function: imaplib.IMAP4_stream",
  ],
  [
    "own str",
    'import sys\ndef str(x): return "/tmp/elsewhere/evil"\nsys.path.insert(0, str(__file__))\nimport evil_mod',
    "3:0 Forbidden access: sys.path",
  ],
  [
    "meth print",
    'import sys\nclass A:\n    def log(s, p): p.append("/tmp/elsewhere/evil")\nA().log(sys.path)\nimport evil_mod',
    "4:8 Forbidden access: sys.path",
  ],
  [
    "eq path",
    'import sys\nclass E:\n    def __eq__(s, o): o.append("/tmp/elsewhere/evil")\nE() == sys.path\nimport evil_mod',
    "4:7 Forbidden access: sys.path",
  ],
  [
    "annot fileio",
    'import io\ndef f(x: io.FileIO): pass\nprint(f.__annotations__["x"]("/etc/hostname").read())',
    "2:9 Forbidden function: io.FileIO",
  ],
  [
    "annot var",
    'import types\nx: types.FunctionType\nF = __annotations__["x"]\nprint(F)',
    "2:3 Forbidden function: types.FunctionType",
  ],
  [
    "eq fileio",
    'import io\nclass E:\n    def __eq__(s, o): print(o("/etc/hostname").read())\nE() == io.FileIO',
    "4:7 Forbidden function: io.FileIO",
  ],
  [
    "yaml loader",
    'import yaml\nyaml.load("!!python/object/apply:os.system [id]", Loader=yaml.loader.UnsafeLoader)',
    "2:57 Forbidden function: yaml.loader.UnsafeLoader",
  ],
  [
    "yaml from",
    'from yaml.loader import UnsafeLoader as L\nimport yaml\nyaml.load("!!python/object/apply:os.system [id]", Loader=L)',
    "1:24 Forbidden import: yaml.loader.UnsafeLoader",
  ],
  [
    "trc fromkeys",
    'def f(trust_remote_code=False): print("trust", trust_remote_code)\nf(**dict.fromkeys(["trust_remote_code"], True))',
    "2:19 Forbidden argument: trust_remote_code",
  ],
  [
    "trc setdefault",
    'def f(trust_remote_code=False): print("trust", trust_remote_code)\no = {}\no.setdefault("trust_remote_code", True)\nf(**o)',
    "3:13 Forbidden argument: trust_remote_code",
  ],
  [
    "trc pairs",
    'def f(trust_remote_code=False): print("trust", trust_remote_code)\nf(**dict([("trust_remote_code", True)]))',
    "2:11 Forbidden argument: trust_remote_code",
  ],
  [
    "trc var",
    'def f(trust_remote_code=False): print("trust", trust_remote_code)\nK = "trust_remote_code"\nf(**{K: True})',
    "2:4 Forbidden argument: trust_remote_code",
  ],
  [
    "trc N",
    'def f(trust_remote_code=False): print("trust", trust_remote_code)\nf(**{"trust\\N{LOW LINE}remote_code": True})',
    "2:5 Forbidden argument: trust_remote_code",
  ],
  [
    "trc attr",
    "class O: trust_remote_code = False\nO.trust_remote_code = True\nprint(O.trust_remote_code)",
    "2:0 Forbidden argument: trust_remote_code",
  ],
  [
    "imaplib",
    'import imaplib, sys\ntry: imaplib.IMAP4_stream("id >/tmp/elsewhere/imap.out")\nexcept Exception: pass\nimport pathlib\nprint(pathlib.Path("/tmp/elsewhere/imap.out").read_text())',
    "2:5 Forbidden function: imaplib.IMAP4_stream",
  ],
  [
    "loadtests sub",
    'import unittest\nclass L(unittest.TestLoader): pass\nL().discover("/tmp/elsewhere/evil", pattern="evil_*.py")',
    "3:0 Forbidden function: unittest.TestLoader.discover",
  ],
  [
    "profile sub",
    "import cProfile\nclass P(cProfile.Profile): pass\nP().run(\"import os; os.system('id')\")",
    "3:0 Forbidden function: cProfile.Profile.run",
  ],
  [
    "profile unbound",
    "import cProfile\ncProfile.Profile.run(cProfile.Profile(), \"import os; os.system('id')\")",
    "2:0 Forbidden function: cProfile.Profile.run",
  ],
  [
    "loop runner",
    "import asyncio\nloop = asyncio.Runner().get_loop()\nprint(loop.create_datagram_endpoint)",
    "3:6 Forbidden function: asyncio.Runner.get_loop.create_datagram_endpoint",
  ],
  [
    "loop policy",
    "import asyncio\nloop = asyncio.get_event_loop_policy().new_event_loop()\nprint(loop.create_connection)",
    "3:6 Forbidden function: asyncio.get_event_loop_policy.new_event_loop.create_connection",
  ],
  [
    "loop class",
    "import asyncio\nprint(asyncio.SelectorEventLoop().create_server)",
    "2:6 Forbidden function: asyncio.SelectorEventLoop.create_server",
  ],
  [
    "dom import",
    'import xml.dom\ntry: xml.dom.getDOMImplementation("x")\nexcept Exception as e: print(e)\nimport xml.dom.domreg as d\nd.well_known_implementations["x"] = "subprocess"\ntry: d.getDOMImplementation("x")\nexcept Exception as e: print(repr(e))',
    "2:5 Forbidden function: xml.dom.getDOMImplementation",
  ],
])("does not get past: %s", (_title, source, expected) => {
  expectStopped(source, expected)
})
