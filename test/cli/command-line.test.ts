import { expect, setDefaultTimeout, test } from "bun:test"
import { existsSync } from "node:fs"
import { open } from "node:fs/promises"
import manifest from "../../package.json" with { type: "json" }
import { commandLine } from "../support/appliance.ts"
import { mixpeek, PROCESSES_MS, preparedData } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

test("--version prints name and version", async () => {
  const { code, stdout } = await mixpeek(["--version"])
  expect(stdout).toBe(`mixpeek ${manifest.version}\n`)
  expect(code).toBe(0)
})

test("the binary prints its version in under 100 ms", async () => {
  if (process.env.MIXPEEK_BINARY === undefined) return // sources are compiled at each start: nothing to measure
  const times: number[] = []
  for (let run = 0; run < 5; run++) {
    const started = performance.now()
    await mixpeek(["--version"])
    times.push(performance.now() - started)
  }
  // The best of five: the machine may be busy with other tests.
  expect(Math.min(...times)).toBeLessThan(100)
})

for (const command of [
  [],
  ["serve"],
  ["plugin"],
  ["plugin", "init"],
  ["plugin", "test"],
  ["plugin", "publish"],
  ["plugin", "list"],
  ["keys"],
  ["keys", "create"],
  ["keys", "list"],
  ["keys", "revoke"],
  ["runtime"],
  ["runtime", "setup"],
  ["doctor"],
]) {
  test(`${["mixpeek", ...command].join(" ")} --help explains itself on standard output`, async () => {
    const { code, stdout, stderr } = await mixpeek([...command, "--help"])
    expect(stdout).toStartWith(`Usage: ${["mixpeek", ...command].join(" ")}`)
    expect(stderr).toBe("")
    expect(code).toBe(0)
  })
}

for (const [args, told] of [
  [[], "Usage: mixpeek"],
  [["nonsense"], "unknown command 'nonsense'"],
  [["nonsense", "--help"], "unknown command 'nonsense'"],
  [["plugin", "nonsense"], "unknown command 'nonsense'"],
  [["plugin", "init"], "missing required argument 'name'"],
  [["plugin", "list", "--nonsense"], "unknown option '--nonsense'"],
  [["plugin", "init", "my_plugin", "--category", "smell"], "Allowed choices are text, image"],
  [["keys", "create"], "required option '--name <name>' not specified"],
  [["plugin", "list", "--namespace", "default"], "no API key: give --api-key or set MIXPEEK_API_KEY"],
  [["plugin", "list", "--api-key", "sk_x"], "no namespace: give --namespace (id or name) or set MIXPEEK_NAMESPACE"],
  [["doctor", "--log-level", "loud"], "log level 'loud'"],
] as const) {
  test(`'mixpeek ${args.join(" ")}' is a usage error: exit 2, told on standard error`, async () => {
    const { code, stdout, stderr } = await mixpeek(args)
    expect(stderr).toContain(told)
    expect(stdout).toBe("")
    expect(code).toBe(2)
  })
}

test("'mixpeek help plugin init' shows what 'mixpeek plugin init --help' shows", async () => {
  expect((await mixpeek(["help", "plugin", "init"])).stdout).toBe((await mixpeek(["plugin", "init", "--help"])).stdout)
})

test("a reader that stops early ends nothing in an error", async () => {
  const command = [...commandLine(), "doctor", "--data", await preparedData()]
  const { stderr, exitCode } = Bun.spawnSync(["sh", "-c", '"$@" | true', "sh", ...command])
  expect(stderr.toString()).toBe("")
  expect(exitCode).toBe(0)
})

test("a failure is one line; its stack comes with --log-level debug, before or after the command", async () => {
  const quiet = await mixpeek(["keys", "list", "--data", "/nonexistent"])
  expect(quiet.code).toBe(1)
  expect(quiet.stderr.trimEnd().split("\n")).toHaveLength(1)
  for (const args of [
    ["keys", "list", "--data", "/nonexistent", "--log-level", "debug"],
    ["--log-level", "debug", "keys", "list", "--data", "/nonexistent"],
  ]) {
    const { code, stderr } = await mixpeek(args)
    expect(stderr).toContain("    at ")
    expect(code).toBe(1)
  }
})

test("a failure with --json is a JSON document on standard output", async () => {
  const { code, stdout } = await mixpeek(["keys", "list", "--data", "/nonexistent", "--json"])
  expect(JSON.parse(stdout)).toEqual({ success: false, error: { message: expect.stringContaining("/nonexistent") } })
  expect(code).toBe(1)
})

test("what is piped carries no colours, also where CI is set", async () => {
  const { stdout } = await mixpeek(["doctor", "--data", "/nonexistent"], { environment: { CI: "true" } })
  expect(stdout).toContain("Isolation")
  expect(stdout).not.toContain("\u001b")
})

test.skipIf(!existsSync("/dev/full"))(
  "output that cannot be written is said once in a line, and the command has failed",
  async () => {
    const full = await open("/dev/full", "w")
    try {
      const child = Bun.spawn([...commandLine(), "plugin", "rules"], { stdio: ["ignore", full.fd, "pipe"] })
      const stderr = await new Response(child.stderr).text()
      expect(await child.exited).toBe(1)
      expect(stderr).toMatch(/^mixpeek: what is printed cannot be written: ENOSPC.*\n$/)
    } finally {
      await full.close()
    }
  },
)
