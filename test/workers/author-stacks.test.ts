import { expect, test } from "bun:test"
import { authorStacks } from "../../src/workers/author-stacks.ts"

const PLACES = {
  plugin: "/data/plugins/p1",
  pythonTree: "/data/runtime/python",
  sitePackages: ["/data/environments/e/site-packages"],
}

const DUMP = `a line of the plugin's
Fatal Python error: Segmentation fault

Thread 0x00007f01 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 982 in run
  File "/data/runtime/python/plugin_worker/worker.py", line 195 in _end_with_channel

Thread 0x00007f02 [loader] (most recent call first):
  File "/data/plugins/p1/processors/loader.py", line 3 in load

Current thread 0x00007f03 (most recent call first):
  File "/data/environments/e/site-packages/numpy/core.py", line 7 in multiply
  File "/usr/lib/python3.11/json/decoder.py", line 8 in decode
  File "/data/plugins/p1/processors/core.py", line 12 in encode
  File "/data/plugins/p1/pipeline.py", line 5 in __call__
  File "/data/runtime/python/plugin_worker/step_run.py", line 219 in _result
  File "<frozen runpy>", line 88 in _run_code

Extension modules: numpy._core._multiarray_umath (total: 1)`

test("the stacks of a worker's death begin with the plugin's frames, outermost first, and show no path of the machine", () => {
  expect(authorStacks(DUMP, PLACES).split("\n")).toEqual([
    "Fatal Python error: Segmentation fault",
    "pipeline.py, line 5, in __call__",
    "processors/core.py, line 12, in encode",
    "in libraries",
    "json/decoder.py, line 8, in decode",
    "numpy/core.py, line 7, in multiply",
    "in another thread",
    "processors/loader.py, line 3, in load",
    "printed before",
    "a line of the plugin's",
  ])
})

test("output without a stack stays as it is", () => {
  const traceback = 'Traceback:\n  File "/data/plugins/p1/pipeline.py", line 5, in f\nValueError: x\n'
  expect(authorStacks(traceback, PLACES)).toBe(traceback)
})

test("of a stack whose beginning is lost the rest is told", () => {
  const lost =
    '  File "/data/plugins/p1/pipeline.py", line 5 in __call__\n  File "/data/plugins/p1/pipeline.py", line ??? in f'
  expect(authorStacks(lost, PLACES)).toBe(
    "in another thread\npipeline.py, line ???, in f\npipeline.py, line 5, in __call__",
  )
})
