import { expect, setDefaultTimeout, test } from "bun:test"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { openMetadata } from "../../src/metadata/open.ts"
import { authentication } from "../../src/organizations/authentication.ts"
import { mixpeek, PROCESSES_MS, temporaryDirectory } from "./run.ts"

setDefaultTimeout(PROCESSES_MS)

const now = () => new Date()

/** A data directory as a server leaves it, open all the while, as a running server has it. */
async function dataDirectory() {
  const directory = await temporaryDirectory()
  const metadata = openMetadata(join(directory.path, "metadata.sqlite"), now)
  const keys = (args: readonly string[]) => mixpeek(["keys", ...args, "--data", directory.path])
  return {
    path: directory.path,
    keys,
    async create(...args: string[]): Promise<{ key: string }> {
      const { stdout, stderr } = await keys(["create", "--json", ...args])
      return stdout === "" ? { key: stderr } : JSON.parse(stdout)
    },
    authenticate: (key: string) => authentication({ metadata, now }).authenticate(`Bearer ${key}`),
    namespaces: (internalId: string) =>
      metadata.read.organizations.namespaces(internalId).map((row) => row.namespace_name),
    async [Symbol.asyncDispose]() {
      metadata[Symbol.dispose]()
      await rm(directory.path, { recursive: true, force: true })
    },
  }
}

test("a new key is accepted at once, with the permissions it was given", async () => {
  await using data = await dataDirectory()
  const { key } = await data.create("--name", "ci", "--permissions", "read,delete", "--user", "ada@example.com")
  expect(data.authenticate(key)).toMatchObject({ userEmail: "ada@example.com", permissions: ["read", "delete"] })
})

test("without --json the key stands alone on the first line", async () => {
  await using data = await dataDirectory()
  const { stdout } = await data.keys(["create", "--name", "ci"])
  expect(data.authenticate(stdout.split("\n")[0] ?? "").permissions).toEqual(["read", "write"])
})

test("a new organization comes with a namespace 'default'; a known one is used again", async () => {
  await using data = await dataDirectory()
  const first = data.authenticate((await data.create("--name", "one", "--organization", "acme")).key)
  const second = data.authenticate((await data.create("--name", "two", "--organization", "acme")).key)
  const other = data.authenticate((await data.create("--name", "one", "--organization", "other")).key)
  expect(second.orgId).toBe(first.orgId)
  expect(other.orgId).not.toBe(first.orgId)
  expect(data.namespaces(first.internalId)).toEqual(["default"])
})

test("a revoked key is refused at once, and its name can be used again", async () => {
  await using data = await dataDirectory()
  const { key } = await data.create("--name", "ci")
  expect((await data.keys(["revoke", "ci"])).code).toBe(0)
  expect(() => data.authenticate(key)).toThrow("unknown, revoked or expired")
  expect(data.authenticate((await data.create("--name", "ci")).key).permissions).toEqual(["read", "write"])
})

test("list tells names and beginnings, never keys; revoked ones only with --all", async () => {
  await using data = await dataDirectory()
  const { key } = await data.create("--name", "kept", "--organization", "acme")
  await data.create("--name", "gone")
  await data.keys(["revoke", "gone"])
  const { stdout } = await data.keys(["list"])
  expect(stdout).toContain("kept")
  expect(stdout).toContain(key.slice(0, 10))
  expect(stdout).not.toContain(key)
  expect(stdout).not.toContain("gone")
  expect((await data.keys(["list", "--all"])).stdout).toContain("gone")
  const ofAcme = JSON.parse((await data.keys(["list", "--all", "--json", "--organization", "acme"])).stdout)
  expect(ofAcme.keys.map((listed: { name: string }) => listed.name)).toEqual(["kept"])
})

test("a key of several users is revoked for the one that is named", async () => {
  await using data = await dataDirectory()
  const ada = await data.create("--name", "ci", "--user", "ada@example.com")
  const bob = await data.create("--name", "ci", "--user", "bob@example.com")
  const unclear = await data.keys(["revoke", "ci"])
  expect(unclear.stderr).toContain("--user (ada@example.com, bob@example.com)")
  expect(unclear.code).toBe(1)
  expect((await data.keys(["revoke", "ci", "--user", "bob@example.com"])).code).toBe(0)
  expect(() => data.authenticate(bob.key)).toThrow()
  expect(data.authenticate(ada.key).userEmail).toBe("ada@example.com")
})

for (const [args, code, told] of [
  [["create", "--name", "x", "--permissions", "fly"], 2, "permissions"],
  [["create", "--name", "x", "--expires", "tomorrow"], 2, "expires"],
  [["create", "--name", "x", "--expires", "2001-01-01T00:00:00Z"], 1, "past"],
  [["create", "--name", "x", "--user", "nobody"], 2, "no e-mail address"],
  [["create", "--name", ""], 2, "name"],
  [["revoke", "unknown"], 1, "no organization 'default'"],
  [["list", "--organization", "unknown"], 1, "no organization 'unknown'"],
] as const) {
  test(`'keys ${args.join(" ")}' ends with ${code}`, async () => {
    await using data = await dataDirectory()
    const outcome = await data.keys(args)
    expect(outcome.stderr).toContain(told)
    expect(outcome.code).toBe(code)
  })
}

test("a name in use by the same user is refused", async () => {
  await using data = await dataDirectory()
  await data.create("--name", "ci")
  const { code, stderr } = await data.keys(["create", "--name", "ci"])
  expect(stderr).toContain("already exists")
  expect(code).toBe(1)
})

test("a directory without an appliance is not made into one", async () => {
  await using directory = await temporaryDirectory()
  const { code, stderr } = await mixpeek(["keys", "create", "--name", "x", "--data", join(directory.path, "none")])
  expect(stderr).toContain("start 'mixpeek serve' once")
  expect(code).toBe(1)
  expect(await Bun.file(join(directory.path, "none", "metadata.sqlite")).exists()).toBe(false)
})
