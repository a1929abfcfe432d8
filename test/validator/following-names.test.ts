/** Names followed through what Python lets one do with them, within a file and across the files of a plugin. */
import { expect, test } from "bun:test"
import { briefly, followed, type Sources, scan } from "./scanner.ts"

test.each<[string, string, string[]]>([
  ["an alias", "f = eval\nf(x)", ["1:4 Forbidden builtin: eval", "2:0 Forbidden builtin: eval"]],
  [
    "a chain of aliases, last first",
    "def g(): return c.system\nc = b\nb = a\nimport os as a",
    ["1:16 Forbidden function: os.system"],
  ],
  ["a tuple assignment", "import os\na, b = 1, os\nb.system", ["3:0 Forbidden function: os.system"]],
  ["a starred assignment", "import os\na, *b = 1, os\nb[0].system", ["3:0 Forbidden function: os.system"]],
  [
    "a chained assignment",
    "import os\na = b = os\na.kill, b.kill",
    ["3:0 Forbidden function: os.kill", "3:8 Forbidden function: os.kill"],
  ],
  ["a walrus", "import os\n(o := os).fork()", ["2:0 Forbidden function: os.fork"]],
  ["a for loop", "import os\nfor o in [os]:\n  o.fork()", ["3:2 Forbidden function: os.fork"]],
  ["a comprehension", "import os\n[o.fork for o in (os,)]", ["2:1 Forbidden function: os.fork"]],
  [
    "a dict",
    "import os\nd = {'o': os}\nd['o'].fork, d.get('o').kill",
    ["3:0 Forbidden function: os.fork", "3:13 Forbidden function: os.kill"],
  ],
  ["an item put into a dict", "import os\nd = {}\nd['o'] = os\nd['o'].fork", ["4:0 Forbidden function: os.fork"]],
  ["a conditional", "import os\n(os if x else None).fork", ["2:0 Forbidden function: os.fork"]],
  ["a boolean operator", "import os\n(None or os).fork", ["2:0 Forbidden function: os.fork"]],
  [
    "an attribute of self",
    "import os\nclass A:\n  def __init__(self): self.o = os\n  def f(self): self.o.fork()",
    ["4:15 Forbidden function: os.fork"],
  ],
  [
    "a class attribute",
    "class A:\n  import os\n  o = os\nA.o.fork, A().o.kill",
    ["4:0 Forbidden function: os.fork", "4:10 Forbidden function: os.kill"],
  ],
  ["a parameter", "import os\ndef f(o): o.fork()\nf(os)", ["2:10 Forbidden function: os.fork"]],
  ["a keyword argument", "import os\ndef f(a, o): o.fork()\nf(1, o=os)", ["2:13 Forbidden function: os.fork"]],
  ["a default", "import os\ndef f(o=os): o.fork()", ["2:13 Forbidden function: os.fork"]],
  ["a returned module", "def f():\n  import os\n  return os\nf().fork", ["4:0 Forbidden function: os.fork"]],
  ["a lambda's result", "import os\n(lambda: os)().fork", ["2:0 Forbidden function: os.fork"]],
  ["a with statement", "import os\nwith os as o: o.fork", ["2:14 Forbidden function: os.fork"]],
  [
    "a global statement",
    "def f():\n  global o\n  import os as o\ndef g(): o.fork",
    ["4:9 Forbidden function: os.fork"],
  ],
  [
    "a nonlocal statement",
    "def f():\n  o = 1\n  def g():\n    nonlocal o\n    import os as o\n  o.fork",
    ["6:2 Forbidden function: os.fork"],
  ],
  ["a match", "import os\nmatch x:\n  case os.fork: pass", ["3:7 Forbidden function: os.fork"]],
  ["a match's capture", "import os\nmatch os:\n  case o: o.fork", ["3:10 Forbidden function: os.fork"]],
  [
    "captures of a match, as and starred and inside a pattern",
    "import os\nmatch os, (os,), {'k': os}:\n  case _ as a, (b, *c), {'k': d, **e}: a.fork, b.kill, c[0].popen, d.fork, e['x'].kill",
    [
      "3:39 Forbidden function: os.fork",
      "3:47 Forbidden function: os.kill",
      "3:55 Forbidden function: os.popen",
      "3:67 Forbidden function: os.fork",
      "3:75 Forbidden function: os.kill",
    ],
  ],
  ["a decorator", "@eval\ndef f(): pass", ["1:1 Forbidden builtin: eval"]],
  ["an annotation", "def f(x: eval): pass", ["1:9 Forbidden builtin: eval"]],
  ["another module's own import", "import logging\nlogging.os.fork", ["2:0 Forbidden function: os.fork"]],
  [
    "another module's own import, imported",
    "from tempfile import _os as o\no.fork",
    ["2:0 Forbidden function: os.fork"],
  ],
  ["os through its submodule", "import os.path as p\np.os.fork", ["2:0 Forbidden function: os.fork"]],
  ["import os.path, which binds os", "import os.path\nos.fork", ["2:0 Forbidden function: os.fork"]],
  ["sys.modules", "import sys\nsys.modules['os'].fork", ["2:0 Forbidden function: os.fork"]],
  ["a forbidden module in sys.modules", "import sys\nsys.modules['socket']", ["2:0 Forbidden import: socket"]],
  ["a module's dict", "import os\nos.__dict__['fo' 'rk']", ["2:0 Forbidden function: os.fork"]],
  ["an escaped name", "import os\nos.__dict__['f\\x6frk']", ["2:0 Forbidden function: os.fork"]],
  ["a computed name", "import os\nos.__dict__[x]", ["2:0 Forbidden access: a computed name of os. Name the attribute"]],
  [
    "a method that reads attributes",
    "import os\nos.__getattribute__('fork')",
    ["2:0 Forbidden function: os.fork", "2:3 Use of __getattribute__"],
  ],
  ["a builtin under another module's name", "import io\nio.open", ["2:0 Forbidden builtin: io.open"]],
  ["a name in compatibility form", "ｅval(x)", ["1:0 Forbidden builtin: eval"]],
  ["a continued line", "import os\nos.\\\nfork", ["2:0 Forbidden function: os.fork"]],
])("a forbidden name is found through %s", (_title, source, expected) => {
  expect(followed(scan(`${source}\n`))).toEqual(expected)
})

test.each([
  [
    "the keys of a dict that holds a function",
    "d = {'a': eval}\nfor key, f in d.items():\n  print(key)",
    ["1:10 Forbidden builtin: eval"],
  ],
  ["a dict that holds a module", "import os\nd = {'a': os}\nprint(d)", []],
  [
    "what a computed name gave",
    "import os\nx = os.__dict__[y]\nprint(x, x.z)",
    ["2:4 Forbidden access: a computed name of os. Name the attribute"],
  ],
  ["an attribute of the same name on another object", "self.load = pickle_free\nmodel.load(x)", []],
])("what only comes near a forbidden name is not accused: %s", (_title, source, expected) => {
  expect(followed(scan(`${source}\n`))).toEqual(expected)
})

test("names read through getattr are followed when introspection is allowed", () => {
  const options = { ruleSet: "compat-2026-03" } as const
  expect(briefly(scan("import os\ngetattr(os, 'fork')\n", options))).toEqual(["2:0 Forbidden function: os.fork"])
  expect(briefly(scan("import os\ngetattr(os, x)\n", options))).toEqual([
    "2:0 Forbidden access: a computed name of os. Name the attribute",
  ])
  expect(scan("import numpy\ngetattr(numpy, x), getattr(numpy, 'load')\n", options).passed).toBe(true)
})

test("what __import__ and import_module answer is followed besides", () => {
  const found = briefly(scan("__import__('os').fork\nimport importlib\nimportlib.import_module('socket')\n"))
  expect(found).toContain("1:0 Forbidden function: os.fork")
  expect(found).toContain("3:0 Forbidden import: socket")
})

test.each<[string, Sources, string[]]>([
  [
    "a from-import",
    { "a.py": "import os as system_module\n", "core.py": "from .a import system_module as s\ns.fork\n" },
    ["2:0 Forbidden function: os.fork"],
  ],
  [
    "a module as a whole",
    { "lib/a.py": "import os\n", "core.py": "from .lib import a\na.os.fork\n" },
    ["2:0 Forbidden function: os.fork"],
  ],
  [
    "two stars",
    { "a.py": "from os import *\n", "b.py": "from .a import *\n", "core.py": "from .b import fork\n" },
    ["1:15 Forbidden import: os.fork"],
  ],
  [
    "a package's __init__",
    {
      "lib/__init__.py": "from .inner import o\n",
      "lib/inner.py": "import os as o\n",
      "core.py": "from .lib import o\no.fork\n",
    },
    ["2:0 Forbidden function: os.fork"],
  ],
  [
    "an absolute import of a sibling",
    { "helpers.py": "import os as o\n", "core.py": "import helpers\nhelpers.o.fork\n" },
    ["2:0 Forbidden function: os.fork"],
  ],
  [
    "a helper's function",
    { "a.py": "import os\ndef get(): return os\n", "core.py": "from . import a\na.get().fork\n" },
    ["2:0 Forbidden function: os.fork"],
  ],
  [
    "an import from the parent",
    { "o.py": "import os\n", "processors/core.py": "from ..o import os as x\nx.fork\n" },
    ["2:0 Forbidden function: os.fork"],
  ],
])("a forbidden name is found across files through %s", (_title, sources, expected) => {
  expect(followed(scan(sources))).toEqual(expected)
})

test.each<[string, string, boolean]>([
  ["a definition before the use", "def open(x): pass\nopen(1)", true],
  ["a definition after the use", "open(1)\ndef open(x): pass", false],
  ["a definition after a function that nobody calls before", "def f(): open(1)\ndef open(x): pass\nf()", true],
  ["a definition after a function that is called before", "def f(): open(1)\nf()\ndef open(x): pass", false],
  [
    "a definition after a function called through another",
    "def f(): open(1)\ndef g(): f()\ng()\ndef open(x): pass",
    false,
  ],
  ["a definition after a decorated function", "@d\ndef f(): open(1)\ndef open(x): pass", false],
  [
    "a definition after a method of a class used before",
    "class A:\n  def f(self): open(1)\nA().f()\ndef open(x): pass",
    false,
  ],
  ["a definition in a branch", "if x:\n  def open(x): pass\nopen(1)", false],
  ["a definition in the same branch", "if x:\n  def open(x): pass\n  open(1)", true],
  ["definitions in every branch", "if x:\n  def open(x): pass\nelse:\n  open = None\nopen(1)", true],
  ["an import that may fail", "try:\n  from a import open\nexcept ImportError:\n  pass\nopen(1)", false],
  ["an import with a fallback", "try:\n  from a import open\nexcept ImportError:\n  open = None\nopen(1)", true],
  ["an import whose failure raises", "try:\n  from a import open\nexcept ImportError:\n  raise\nopen(1)", true],
  ["a loop's variable", "for open in x: pass\nopen(1)", false],
  ["a loop's variable in the loop", "for open in x:\n  open(1)", true],
  ["a deleted name", "open = 1\ndel open\nopen(1)", false],
  ["an exception's name", "try: pass\nexcept E as open: pass\nopen(1)", false],
  ["a bare annotation", "open: int\nopen(1)", false],
  ["a method's name, from a method", "class A:\n  def open(self): pass\n  def f(self): open(1)", false],
  ["a class's name, in the class body", "class A:\n  open = 1\n  x = open", true],
  ["a local bound later", "def f():\n  open(1)\n  open = 2", true],
  ["a local of another function", "def f(): open = 1\ndef g(): open(1)", false],
  ["a local of the function around", "def f(open):\n  def g(): open(1)", true],
  ["a global that a function sets", "def f():\n  global open\n  open = 1\nf()\nopen(1)", false],
  ["a name of a comprehension, outside of it", "[open for open in x]\nopen(1)", false],
  ["a comprehension's first iterable", "[open for open in open]", false],
  ["a walrus that is reached", "x = (open := 1)\nopen(1)", true],
  ["a walrus that may not be reached", "x and (open := 1)\nopen(1)", false],
  ["a capture pattern", "def f(x):\n  match x:\n    case [open, *exec]: open(exec)", true],
  ["a type parameter", "def f[open](x: open) -> open: return open", true],
  ["a walrus in the condition, in the branch", "if (open := f()):\n  open(1)\nelse:\n  open(2)", true],
  ["a walrus in the condition, after it", "if (open := f()):\n  pass\nopen(1)", true],
  ["a walrus in a condition that may be skipped", "if x or (open := f()):\n  open(1)", false],
  ["a walrus in the condition of an elif, in the else", "if x: pass\nelif (open := f()): pass\nelse: open(1)", false],
  ["a walrus in a loop's condition", "while (open := f()):\n  open(1)\nopen(2)", true],
  ["a walrus in a conditional expression", "open(1) if (open := f()) else open(2)", true],
  ["a walrus in one value of a conditional expression", "(open := f()) if x else open(2)", false],
  ["a walrus in an argument before", "f((open := 1), *[open], a=open)", true],
  ["a walrus in a keyword, which comes after what is spread", "f(a=(open := 1), *[open])", false],
  ["a walrus in an argument after", "f(open, (open := 1))", false],
  ["a walrus in the first operand", "(open := f()) and open(1)", true],
  ["a walrus in the second operand", "x and (open := f()) or open(1)", false],
  [
    "an exception's name in its clause",
    "for x in y:\n  try: pass\n  except E as open: print(open, [open for x in y])",
    true,
  ],
  ["an exception's name in a function of its clause", "try: pass\nexcept E as open:\n  def f(): open(1)\n  f()", false],
  ["an exception's name that its clause deletes", "try: pass\nexcept E as open:\n  del open\n  open(1)", false],
  [
    "an exception's name that another in its clause takes away",
    "try: pass\nexcept E as open:\n  try: pass\n  except E as open: pass\n  open(1)",
    false,
  ],
  [
    "an exception's name that some function deletes",
    "def f():\n  global open\n  del open\ntry: pass\nexcept E as open: open(1)",
    false,
  ],
  ["a star import of a library", "from library import *\nopen(1)", false],
])("own name or builtin: %s", (_title, source, passes) => {
  expect(scan(`${source}\n`).passed).toBe(passes)
})

test.each<[string, Sources, boolean]>([
  ["a module of the plugin", { "a.py": "def open(x): pass\n" }, true],
  ["a module of the plugin that may not have it", { "a.py": "if x:\n  def open(x): pass\n" }, false],
  ["a module of the plugin that deletes it", { "a.py": "def open(x): pass\ndel open\n" }, false],
  ["a module of the plugin that does not hand it on", { "a.py": "def open(x): pass\n__all__ = []\n" }, false],
  ["a module of the plugin that imports this one", { "a.py": "from . import core\ndef open(x): pass\n" }, false],
  ["a module of the plugin that has a star itself", { "a.py": "from b import *\ndef open(x): pass\n" }, false],
])("own name or builtin by a relative star import of %s", (_title, sources, passes) => {
  expect(scan({ ...sources, "core.py": "from .a import *\nopen(1)\n" }).passed).toBe(passes)
  expect(scan({ ...sources, "core.py": "def f(): open(1)\nfrom .a import *\nf()\n" }).passed).toBe(passes)
  // What comes first, may fail or may be another module does not hide the builtin.
  expect(scan({ ...sources, "core.py": "open(1)\nfrom .a import *\n" }).passed).toBe(false)
  expect(scan({ ...sources, "core.py": "if x:\n  from .a import *\nopen(1)\n" }).passed).toBe(false)
  expect(scan({ ...sources, "core.py": "from a import *\nopen(1)\n" }).passed).toBe(false)
})
