/** Types in quotes, arguments that fetch code, and search paths: each evasive case beside its innocent twin. */
import { describe, expect, test } from "bun:test"
import { briefly, scan } from "./scanner.ts"

describe("types in quotes are read as the code they become", () => {
  test.each([
    ["a variable's", `x: "eval('1')" = 1`, "1:3 Forbidden builtin: eval"],
    ["a parameter's", `def f(a: "__import__('os').system('x')"): pass`, "1:9 Forbidden builtin: __import__"],
    ["a parameter's with a default", `def f(a: "exec('')" = 1): pass`, "1:9 Forbidden builtin: exec"],
    ["the return value's", `def f() -> "open('x')": pass`, "1:11 Forbidden builtin: open"],
    ["an attribute's of a class", `class A:\n    x: "eval('1')"`, "2:7 Forbidden builtin: eval"],
    ["inside Optional", `from typing import Optional\nx: Optional["eval('1')"]`, "2:12 Forbidden builtin: eval"],
    [
      "first in Annotated",
      `from typing import Annotated\nx: Annotated["eval('1')", 5]`,
      "2:13 Forbidden builtin: eval",
    ],
    ["an own import's function", `import os\nx: "os.system('x')"`, "2:3 Forbidden function: os.system"],
    ["given by a name", `TYPE = "eval('1')"\nx: TYPE`, "1:7 Forbidden builtin: eval"],
    ["a forward reference", `from typing import ForwardRef\nForwardRef("eval('1')")`, "2:11 Forbidden builtin: eval"],
    [
      "put into __annotations__",
      `class A: pass\nA.__annotations__ = {"x": "eval('1')"}`,
      "2:26 Forbidden builtin: eval",
    ],
  ])("%s: %s", (_title, source, expected) => {
    expect(briefly(scan(`${source}\n`))).toContain(expected)
  })

  test.each([
    ["a library's type", `import numpy as np\ndef f(x: "np.ndarray") -> "Optional[np.ndarray]": pass`],
    ["an own class", `class Node:\n    parent: "Node | None" = None`],
    ["data of a Literal", `from typing import Literal\nmode: Literal["open", "eval", "exec('x')"] = "open"`],
    ["data of Annotated", `from typing import Annotated\nx: Annotated[int, "eval('1') is not run"]`],
    ["a lone name that nobody reads", `def f(x: "open"): pass`],
    ["text that is no expression", `x: "a value, in seconds" = 1`],
    ["a default value", `def f(name="eval('1')"): pass`],
    ["a docstring", `def f():\n    "eval('1')"`],
  ])("%s is innocent: %s", (_title, source) => {
    expect(scan(`${source}\n`)).toEqual({ passed: true, warnings: [] })
  })
})

describe("arguments that fetch code are refused, whatever is called", () => {
  test.each([
    [
      "a keyword",
      "AutoModel.from_pretrained('m', trust_remote_code=True)",
      "1:31 Forbidden argument: trust_remote_code",
    ],
    ["a variable's value", "f(trust_remote_code=flag)", "1:2 Forbidden argument: trust_remote_code"],
    ["spread options", "f(**{'trust_remote_code': True})", "1:5 Forbidden argument: trust_remote_code"],
    [
      "an option that is set",
      "options = {}\noptions['trust_remote_code'] = True",
      "2:0 Forbidden argument: trust_remote_code",
    ],
  ])("%s: %s", (_title, source, expected) => {
    expect(briefly(scan(`${source}\n`))).toEqual([expected])
  })

  test.each([
    "AutoModel.from_pretrained('m', trust_remote_code=False)",
    "f(**{'trust_remote_code': False})",
    "x = 'trust_remote_code=True'",
    "def load(name, trust_remote_code=None): pass",
  ])("innocent: %s", (source) => {
    expect(scan(`${source}\n`)).toEqual({ passed: true, warnings: [] })
  })
})

describe("search paths may be looked at and not changed", () => {
  test.each([
    ["append", "import sys\nsys.path.append('/tmp/x.bin')", "2:0 Forbidden access: sys.path"],
    ["insert under an alias", "from sys import path as p\np.insert(0, folder)", "2:0 Forbidden access: sys.path"],
    ["assignment", "import sys\nsys.path[:0] = ['x']", "2:0 Forbidden access: sys.path"],
    ["addition", "import sys\nsys.path += ['x']", "2:0 Forbidden access: sys.path"],
    ["given to a function that may change it", "import sys\nextend(sys.path)", "2:7 Forbidden access: sys.path"],
    [
      "a folder that a later name changes",
      "import sys, os\nd = os.path.dirname(__file__)\nd = '/tmp'\nsys.path.append(d)",
      "4:0 Forbidden access: sys.path",
    ],
    ["site", "import site\nsite.addsitedir('x')", "Forbidden function: site.addsitedir"],
  ])("%s: %s", (_title, source, expected) => {
    expect(briefly(scan(`${source}\n`)).join("\n")).toContain(expected)
    expect(scan(`${source}\n`).passed).toBe(false)
  })

  test.each([
    "import sys\nprint(sys.path)",
    "import sys\nif 'x' in sys.path: pass",
    "import sys\nfor p in sys.path: print(p)",
    "import sys, os\nsys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))",
    "import sys\nfrom pathlib import Path\nroot = Path(__file__).parent\nsys.path.append(str(root))",
  ])("innocent: %s", (source) => {
    expect(scan(`${source}\n`)).toEqual({ passed: true, warnings: [] })
  })
})

test("yaml.load without a loader is a warning, with a safe one nothing", () => {
  expect(briefly(scan("import yaml\nyaml.load(x)\n"))).toEqual(["2:0 Use of yaml.load"])
  expect(scan("import yaml\nyaml.load(x, Loader=yaml.SafeLoader)\n")).toEqual({ passed: true, warnings: [] })
  expect(scan("import yaml\nyaml.load(x, Loader=yaml.Loader)\n").passed).toBe(false)
})
