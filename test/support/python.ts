import { readdirSync } from "node:fs"
import { join } from "node:path"
import { SHARED_DATA } from "./appliance.ts"

/** Packages of the base environment that the gate built. */
export function sitePackages(): string {
  const environments = join(SHARED_DATA, "environments")
  const built = readdirSync(environments).find((name) => /^[0-9a-f]{32}$/.test(name))
  if (built === undefined) throw new Error("no base environment: run scripts/test, which makes it")
  return join(environments, built, "site-packages")
}

/** Runs a directory's unittest files; the report of a failure is Python's own. */
export async function runUnittests(
  directory: string,
  topLevel: string,
  { pattern = "test*.py", environment = {} }: { pattern?: string; environment?: Record<string, string> } = {},
): Promise<{ ran: number; code: number; report: string }> {
  const child = Bun.spawn(
    ["python3", "-B", "-m", "unittest", "discover", "-b", "-p", pattern, "-s", directory, "-t", topLevel],
    {
      cwd: topLevel,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, MIXPEEK_TEST_SITE_PACKAGES: sitePackages(), ...environment },
    },
  )
  const [out, report] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  const code = await child.exited
  return { ran: Number(/^Ran (\d+) test/m.exec(report)?.[1] ?? 0), code, report: `${out}${report}` }
}
