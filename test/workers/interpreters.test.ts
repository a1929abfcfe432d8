import { expect, test } from "bun:test"
import { chmod, mkdir, realpath, symlink } from "node:fs/promises"
import { join } from "node:path"
import { findInterpreter } from "../../src/workers/interpreters.ts"
import { workerFacts } from "../../src/workers/worker-facts.ts"
import { interpreter, REAL_TREE, temporaryDirectory } from "./support.ts"

async function program(path: string, text: string): Promise<void> {
  await Bun.write(path, text)
  await chmod(path, 0o755)
}

/** A Python that says of itself what the test wants, as a shell script. */
function pretender(facts: Record<string, unknown>): string {
  return `#!/bin/sh\necho '${JSON.stringify({
    implementation: "cpython",
    version: "3.12.1",
    executable: "/bin/sh",
    base_prefix: "/usr",
    platform: "linux-x86_64",
    soabi: "cpython-312-x86_64-linux-gnu",
    free_threaded: false,
    bits: 64,
    pip: true,
    ...facts,
  })}'\n`
}

test("what is chosen is a real executable in a supported version, with what wheels must fit", async () => {
  expect(interpreter.path).toBe(await realpath(interpreter.path))
  expect(interpreter.version).toMatch(/^3\.1[0-3]\.\d+$/)
  expect(interpreter.abi).toBe(`cp${interpreter.version.split(".").slice(0, 2).join("")}`)
  expect(interpreter.platform).toMatch(/^(linux|macosx)-/)
})

test("a shim and a link lead to the one real executable; only the first is taken, and each says why", async () => {
  await using directory = await temporaryDirectory()
  const bin = directory.path
  await program(join(bin, "python3"), `#!/bin/sh\nexec "${interpreter.path}" "$@"\n`)
  await symlink(interpreter.path, join(bin, "python"))
  const search = await findInterpreter({ pathVariable: `${bin}:/bin` })
  expect(search.chosen).toEqual(interpreter)
  expect(search.candidates.find(({ found }) => found === join(bin, "python3"))?.reason).toBe(null)
  expect(search.candidates.find(({ found }) => found === join(bin, "python"))?.reason).toBe(
    `the same interpreter as ${join(bin, "python3")}`,
  )
})

test("a virtual environment's python is never taken itself, but the interpreter it was made from", async () => {
  await using directory = await temporaryDirectory()
  const venv = join(directory.path, "venv")
  const made = Bun.spawnSync([interpreter.path, "-m", "venv", "--without-pip", "--copies", venv])
  expect(made.exitCode).toBe(0)
  const search = await findInterpreter({ override: join(venv, "bin", "python"), pathVariable: "" })
  expect(search.chosen).toEqual(interpreter)
})

test("what is no usable Python is listed with the reason", async () => {
  await using directory = await temporaryDirectory()
  const bin = directory.path
  const self = (name: string) => ({ executable: join(bin, name) })
  await program(join(bin, "python3"), pretender({ ...self("python3"), version: "3.9.18" }))
  await program(join(bin, "python3.13"), pretender({ ...self("python3.13"), version: "3.13.0", free_threaded: true }))
  await program(join(bin, "python3.12"), pretender({ ...self("python3.12"), implementation: "pypy" }))
  await program(join(bin, "python3.11"), "#!/bin/sh\necho 'shim: python3.11: command not found' >&2\nexit 127\n")
  await program(join(bin, "python3.10"), "#!/bin/sh\necho hello\n")
  await mkdir(join(bin, "python"))
  const search = await findInterpreter({ pathVariable: bin })
  expect(search.chosen).toBe(null)
  expect(search.candidates.map(({ found, reason }) => [found.slice(bin.length + 1), reason])).toEqual([
    ["python3", "is Python 3.9.18; 3.10 to 3.13 is needed"],
    ["python3.13", "is a free-threaded build; the base packages have no wheels for it"],
    ["python3.12", "is pypy; CPython is needed"],
    ["python3.11", "cannot be run: shim: python3.11: command not found"],
    ["python3.10", "cannot be run: it answered something that no Python says"],
  ])
  expect(search.problem).toContain("No Python 3.10 to 3.13 was found")
})

test("of several, the one with a ready environment wins, then one with pip, then python3, then the newest", async () => {
  await using directory = await temporaryDirectory()
  const bin = directory.path
  const names = ["python3.10", "python3.12", "python3.13"]
  const add = (name: string, pip: boolean) =>
    program(join(bin, name), pretender({ executable: join(bin, name), version: `${name.slice(6)}.1`, pip }))
  for (const name of names) await add(name, name !== "python3.13")
  const choice = async (isReady?: (version: string) => boolean) =>
    (await findInterpreter({ pathVariable: bin, isReady: ({ version }) => isReady?.(version) ?? false })).chosen
      ?.version
  expect(await choice()).toBe("3.12.1")
  expect(await choice((version) => version === "3.13.1")).toBe("3.13.1")
  await program(join(bin, "python3"), pretender({ executable: join(bin, "python3"), version: "3.11.1" }))
  expect(await choice()).toBe("3.11.1")
})

test("an override is the only one that is looked at", async () => {
  const { PATH = "" } = process.env
  expect((await findInterpreter({ override: interpreter.path, pathVariable: PATH })).candidates).toHaveLength(1)
  const missing = await findInterpreter({ override: "/nonexistent/python", pathVariable: PATH })
  expect(missing).toEqual({ chosen: null, candidates: [], problem: "Python '/nonexistent/python' was not found." })
  const wrong = await findInterpreter({ override: "true", pathVariable: "/bin" })
  expect(wrong.problem).toContain("cannot be run")
})

test("relative entries of the PATH are not searched", async () => {
  expect((await findInterpreter({ pathVariable: ".:bin:" })).candidates).toEqual([])
})

test("the facts say what is missing before the set-up, and how to get it", async () => {
  await using directory = await temporaryDirectory()
  const machine = {
    pythonTree: REAL_TREE,
    minimumIsolation: "standard",
    isolationLimits: { landlockAbiAtMost: 0, namespaces: true },
  } as const
  const facts = await workerFacts({
    ...machine,
    environmentsDir: directory.path,
    override: interpreter.path,
    pathVariable: process.env.PATH ?? "",
  })
  expect(facts).toMatchObject({ ready: false, environment: { ready: false } })
  expect(facts.isolation.level).not.toBe("standard")
  expect(facts.problem).toContain("mixpeek runtime setup")
  const none = await workerFacts({ ...machine, environmentsDir: directory.path, pathVariable: directory.path })
  expect(none).toMatchObject({ ready: false, environment: null, problem: expect.stringContaining("No Python") })
})
