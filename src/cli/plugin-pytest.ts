import { dirname } from "node:path"
import { runProgram } from "../workers/run-program.ts"
import { type Check, check } from "./check.ts"
import type { LocalPython } from "./local-python.ts"
import type { PluginDirectory } from "./plugin-directory.ts"

const PYTEST_DEADLINE_MS = 1_800_000
const PROBE_MS = 30_000
/** pytest's own exit code when it finds no test. */
const NO_TESTS = 5

/** Check 7: the plugin's own tests, with `engine` and `shared` importable as they are in a worker. */
export async function checkTests(plugin: PluginDirectory, python: LocalPython): Promise<Check> {
  const name = "Tests"
  if (!plugin.files.some(({ path }) => /^tests\/.*\.py$/.test(path)))
    return check(name, "skipped", "there is no tests/")
  const environment = {
    PATH: "/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: python.scratch,
    TMPDIR: python.scratch,
    PYTHONDONTWRITEBYTECODE: "1",
    // The parent last: a plugin's neighbour must not hide a library.
    PYTHONPATH: [python.pythonTree, ...python.sitePackages, dirname(plugin.directory)].join(":"),
  }
  const probe = await runProgram({
    argv: [python.interpreter.path, "-c", "import pytest"],
    environment,
    timeoutMs: PROBE_MS,
  })
  if (probe.code !== 0) {
    return check(name, "skipped", `pytest is not installed for ${python.interpreter.path}`, {
      findings: [`to run them: ${python.interpreter.path} -m pip install pytest`],
    })
  }
  const lines: string[] = []
  const result = await runProgram({
    argv: [python.interpreter.path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", "tests"],
    environment,
    cwd: plugin.directory,
    timeoutMs: PYTEST_DEADLINE_MS,
    signal: python.signal,
    onLine: ({ text }) => void lines.push(text),
  })
  python.signal.throwIfAborted()
  const last = lines.findLast((line) => line.trim() !== "") ?? ""
  if (result.stopped !== null) return check(name, "failed", `pytest was ended: ${result.stopped}`, { details: lines })
  if (result.code === 0) return check(name, "passed", last, { details: lines })
  if (result.code === NO_TESTS) return check(name, "skipped", "tests/ holds no test", { details: lines })
  return check(name, "failed", last === "" ? `pytest ended with ${result.code ?? result.signal}` : last, {
    findings: lines.filter((line) => /^(FAILED|ERROR) /.test(line)),
    details: lines,
  })
}
