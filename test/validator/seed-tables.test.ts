/** Every row of the seed page's tables, each in the forms of import and use. */
import { describe, expect, test } from "bun:test"
import { briefly, scan } from "./scanner.ts"

const FORBIDDEN_IMPORTS = [
  "subprocess",
  "ctypes",
  "pty",
  "fcntl",
  "resource",
  "multiprocessing",
  "threading",
  "socket",
  "commands",
  "popen2",
]
const OS_FUNCTIONS = ["system", "popen", "spawn", "exec", "fork", "kill", "killpg"]
const OS_FAMILIES = [
  ...["spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp", "spawnvpe"],
  ...["execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe"],
  ...["forkpty", "posix_spawn", "posix_spawnp"],
]
const BUILTINS = [
  "eval",
  "exec",
  "compile",
  "open",
  "__import__",
  "globals",
  "locals",
  "vars",
  "getattr",
  "setattr",
  "delattr",
  "hasattr",
]
const MODULE_FUNCTIONS = [
  "importlib.import_module",
  "importlib.__import__",
  "pickle.loads",
  "pickle.load",
  "marshal.loads",
  "marshal.load",
]
const WARNED_MODULES = ["pickle", "marshal", "shelve"]
const DUNDERS = ["__builtins__", "__class__", "__bases__", "__subclasses__", "__mro__", "__code__", "__globals__"]

describe.each(FORBIDDEN_IMPORTS)("module %s", (module) => {
  test.each([
    [`import ${module}\n`, [`1:0 Forbidden import: ${module}`]],
    [`import ${module} as m\n`, [`1:0 Forbidden import: ${module}`]],
    [`import json, ${module}\n`, [`1:0 Forbidden import: ${module}`]],
    [`from ${module} import anything\n`, [`1:0 Forbidden import: ${module}`]],
    [`from ${module} import *\n`, [`1:0 Forbidden import: ${module}`]],
    [`import ${module}.part\n`, [`1:0 Forbidden import: ${module}.part`]],
    [`def f():\n    if False:\n        import ${module}\n`, [`3:8 Forbidden import: ${module}`]],
    [`try:\n    import ${module}\nexcept ImportError:\n    pass\n`, [`2:4 Forbidden import: ${module}`]],
  ])("is an error in %j", (source, expected) => {
    const result = scan(source)
    expect(result.passed).toBe(false)
    expect(briefly(result)).toEqual(expected)
  })

  test.each([
    `from .${module} import x\n`,
    `from . import ${module}\n`,
    `from ..lib import ${module}\n`,
    `import ${module}x\n`,
    `from mypackage.${module} import x\n`,
    `x = "${module}"  # import ${module}\n`,
    `${module} = 1\nprint(${module}, x.${module}, f(${module}=1))\n`,
  ])("is none in %j", (source) => {
    expect(scan({ "core.py": source, [`${module}.py`]: "x = 1\n" })).toEqual({ passed: true, warnings: [] })
  })
})

test("the sample of the seed page is reported as the seed page shows it", () => {
  const result = scan({ "processors/core.py": `${"\n".repeat(14)}import subprocess\n` })
  const message = "Forbidden import: subprocess"
  expect(result).toEqual({
    passed: false,
    violations: [{ file: "processors/core.py", line: 15, column: 0, message, severity: "error" }],
  })
})

describe.each([...OS_FUNCTIONS, ...OS_FAMILIES])("os.%s", (name) => {
  test.each([
    [`import os\nos.${name}("x")\n`, [`2:0 Forbidden function: os.${name}`]],
    [`import os\nf = os.${name}\n`, [`2:4 Forbidden function: os.${name}`]],
    [`import os as o\no.${name}\n`, [`2:0 Forbidden function: os.${name}`]],
    [`from os import ${name}\n`, [`1:15 Forbidden import: os.${name}`]],
    [`from os import *\n${name}("x")\n`, [`2:0 Forbidden function: os.${name}`]],
    [`import posix\nposix.${name}\n`, [`2:0 Forbidden function: posix.${name}`]],
  ])("is an error in %j", (source, expected) => {
    const found = briefly(scan(source)).filter((line) => !line.includes("builtin"))
    expect(found).toEqual(expected)
  })
})

test("what else os offers is allowed", () => {
  const source =
    'import os\nos.environ["A"], os.path.join("a"), os.unlink("a"), os.getpid(), os.get_exec_path(), os.cpu_count()\n'
  expect(scan(`${source}from os import path, environ\n`)).toEqual({ passed: true, warnings: [] })
})

describe.each(BUILTINS)("builtin %s", (name) => {
  test.each([
    [`${name}(x)\n`, [`1:0 Forbidden builtin: ${name}`]],
    [`f = ${name}\n`, [`1:4 Forbidden builtin: ${name}`]],
    [`def f(g=${name}): pass\n`, [`1:8 Forbidden builtin: ${name}`]],
    [`class A:\n    def f(self):\n        return ${name}(self)\n`, [`3:15 Forbidden builtin: ${name}`]],
    [`import builtins\nbuiltins.${name}\n`, [`2:0 Forbidden builtin: ${name}`]],
    [`from builtins import ${name}\n`, [`1:21 Forbidden import: builtins.${name}`]],
    [`__builtins__.${name}\n`, [`1:0 Forbidden builtin: ${name}`, "1:0 Use of __builtins__"]],
    [`__builtins__["${name}"]\n`, [`1:0 Forbidden builtin: ${name}`, "1:0 Use of __builtins__"]],
    [`if False:\n    ${name}\n`, [`2:4 Forbidden builtin: ${name}`]],
    [`x = f"{${name}}"\n`, [`1:7 Forbidden builtin: ${name}`]],
  ])("is an error in %j", (source, expected) => {
    expect(briefly(scan(source))).toEqual(expected)
  })

  test.each([
    `x.${name}("a")\n`,
    `f(${name}=1)\n`,
    `# ${name}(x)\n"${name}(x)"\n'''${name}(x)'''\n`,
    `def ${name}(x): return x\n${name}(1)\n`,
    `class A:\n    def ${name}(self): return self\nA().${name}()\n`,
    `def f(${name}):\n    return ${name}(1)\n`,
    `f = lambda ${name}: ${name}\n`,
    `x = [${name} for ${name} in y]\n`,
    `def f():\n    from library import ${name}\n    return ${name}\n`,
    `my${name} = 1\nmy${name}\n`,
  ])("is none in %j", (source) => {
    expect(scan(source)).toEqual({ passed: true, warnings: [] })
  })
})

describe.each(MODULE_FUNCTIONS)("%s", (name) => {
  const [module = "", member = ""] = name.split(".")
  test.each([
    [`import ${module}\n${module}.${member}(x)\n`, [`2:0 Forbidden function: ${name}`]],
    [`import ${module} as m\nf = m.${member}\n`, [`2:4 Forbidden function: ${name}`]],
    [`from ${module} import ${member} as g\n`, [`1:${13 + module.length} Forbidden import: ${name}`]],
    [
      `from ${module} import ${member} as g\ng(x)\n`,
      [`1:${13 + module.length} Forbidden import: ${name}`, `2:0 Forbidden function: ${name}`],
    ],
  ])("is an error in %j", (source, expected) => {
    const result = scan(source)
    expect(result.passed).toBe(false)
    expect(briefly(result).filter((line) => !line.includes("Use of"))).toEqual(expected)
  })
})

test.each([
  "json.loads(x)",
  "json.load(x)",
  "torch.load(x)",
  "self.load()",
  "model.loads(x)",
  "importlib.metadata.version(x)",
])("%s is no unpickling", (use) => {
  expect(scan(`import json, torch, yaml, importlib.metadata\n${use}\n`)).toEqual({ passed: true, warnings: [] })
})

test.each([
  "re.compile(x)",
  "Image.open(x)",
  "torch.compile(m)",
  "model.eval()",
  "df.eval(x)",
  "gzip.open(x)",
  "zipfile.ZipFile(x).open(y)",
])("%s is no builtin", (use) => {
  const imports = "import re, torch, gzip, zipfile\nfrom PIL import Image\nmodel = torch.nn.Module()\n"
  expect(scan(`${imports}${use}\n`)).toEqual({ passed: true, warnings: [] })
})

describe.each(WARNED_MODULES)("module %s", (module) => {
  test.each([`import ${module}\n`, `import ${module} as m\n`, `from ${module} import x\n`, `import json, ${module}\n`])(
    "warns in %j",
    (source) => {
      const result = scan(source)
      expect(result.passed).toBe(true)
      expect(briefly(result)).toEqual([`1:0 Use of ${module}`])
      const strict = scan(source, { strict: true })
      expect(strict).toMatchObject({ passed: false, violations: [{ line: 1, column: 0, severity: "error" }] })
    },
  )

  test("warns not when it is a module of the plugin", () => {
    expect(
      scan({ "a.py": `from .${module} import x\nfrom . import ${module}\n`, [`${module}.py`]: "x = 1\n" }),
    ).toEqual({ passed: true, warnings: [] })
  })
})

describe.each(DUNDERS)("attribute %s", (name) => {
  test("warns, and fails in strict mode", () => {
    expect(scan(`x.y.${name}\n`)).toMatchObject({
      passed: true,
      warnings: [{ line: 1, column: 4, severity: "warning" }],
    })
    expect(scan(`x.y.${name}\n`, { strict: true })).toMatchObject({
      passed: false,
      violations: [{ severity: "error" }],
    })
  })

  test("warns not in a string or as a method's own name", () => {
    expect(scan(`x = "${name}"\ny = x.my${name}\n`)).toEqual({ passed: true, warnings: [] })
  })
})

test("introspection is allowed by option: getattr and hasattr, nothing else", () => {
  const source = "getattr(x, 'a'), hasattr(x, 'a'), setattr(x, 'a', 1), delattr(x, 'a')\n"
  const found = briefly(scan(source, { ruleSet: "compat-2026-03" }))
  expect(found).toEqual(["1:34 Forbidden builtin: setattr", "1:54 Forbidden builtin: delattr"])
})

test("every library of the seed's allowed table passes", () => {
  const libraries =
    "numpy pandas polars pyarrow torch transformers sentence_transformers onnxruntime safetensors PIL cv2 imageio librosa soundfile ffmpeg requests httpx aiohttp json re typing dataclasses pydantic logging"
  const source = `${libraries
    .split(" ")
    .map((name) => `import ${name}\n`)
    .join("")}from shared.models.loader import load_namespace_model\n`
  expect(scan(source, { strict: true })).toEqual({ passed: true, warnings: [] })
})
