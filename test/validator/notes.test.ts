import { expect, test } from "bun:test"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { modulesIn } from "../../src/workers/environments/modules.ts"
import { report } from "./scanner.ts"

const environment = new Set(["numpy"])

test("an import that the environment lacks passes, and is noted once at its first place", () => {
  const sources = {
    "a.py": "import json, numpy\nimport unheard.of\n",
    "b.py": "from unheard import x\nimport tomllib\n",
  }
  const found = report(sources, { strict: true, environment })
  expect(found).toEqual({
    passed: true,
    warnings: [],
    ruleSet: "seed-2026-01",
    notes: [
      {
        file: "a.py",
        line: 2,
        column: 0,
        message:
          "The environment has no module unheard: name its package in dependencies or requirements.txt, or the import will fail there",
        module: "unheard",
      },
    ],
  })
})

test("an import that the plugin does without is not noted", () => {
  const attempt = (clause: string) => `try:\n    from unheard import x\n${clause}:\n    x = None\n`
  const noted = (text: string) => report(text, { environment }).notes.length
  for (const clause of [
    "except ImportError",
    "except ModuleNotFoundError as error",
    "except (OSError, ImportError)",
    "except ValueError:\n    x = 1\nexcept Exception",
    "except",
  ]) {
    expect(noted(attempt(clause))).toBe(0)
  }
  expect(noted(attempt("except ValueError"))).toBe(1)
  expect(noted("try:\n    x = 1\nexcept ImportError:\n    import unheard\n")).toBe(1)
  expect(noted("try:\n    x = 1\nexcept ImportError:\n    x = 2\nelse:\n    import unheard\n")).toBe(1)
  expect(noted("try:\n    import ffmpeg\nexcept ImportError:\n    ffmpeg = None\n")).toBe(1)
})

test("what the plugin's tests import is not noted: no worker runs them", () => {
  expect(report({ "tests/test_plugin.py": "import pytest\n" }, { environment }).notes).toEqual([])
  const elsewhere = report({ "processors/tests/cases.py": "import pytest\n" }, { environment })
  expect(elsewhere.notes.map(({ module }) => module)).toEqual(["pytest"])
})

test("the plugin's own modules and the appliance's are no strangers", () => {
  const sources = {
    "manifest.py": "import helpers\nfrom lib.words import x\nfrom . import anything\nimport shared.plugins, engine\n",
    "helpers.py": "",
    "lib/words.py": "import near\n",
    "lib/near.py": "",
  }
  expect(report(sources, { environment }).notes).toEqual([])
})

test("without a known environment nothing is noted", () => {
  expect(report("import unheard\n").notes).toEqual([])
})

test("the modules of an environment are the folders and files that can be imported", () => {
  const folder = mkdtempSync(join(tmpdir(), "mixpeek-packages-"))
  try {
    for (const name of ["numpy", "numpy-2.0.dist-info", "__pycache__"]) mkdirSync(join(folder, name))
    for (const name of ["six.py", "orjson.cpython-311-x86_64-linux-gnu.so", "readme.txt"])
      writeFileSync(join(folder, name), "")
    expect([...modulesIn([folder, join(folder, "missing")])].sort()).toEqual(["__pycache__", "numpy", "orjson", "six"])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test("a library that does its work in a program of its own is noted, installed or not, with what to use instead", () => {
  const sources = { "a.py": "import ffmpeg\nimport ffmpeg.nodes\n" }
  for (const known of [environment, new Set(["ffmpeg"])]) {
    expect(report(sources, { environment: known }).notes).toEqual([
      {
        file: "a.py",
        line: 1,
        column: 0,
        message:
          "ffmpeg does its work in a program of its own, which a worker may not start; use PyAV (av) or opencv-python-headless instead",
      },
    ])
  }
})
