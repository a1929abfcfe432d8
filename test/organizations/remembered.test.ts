/** Rows that every request asks for are remembered: what is written must be seen all the same. */
import { expect, test } from "bun:test"
import { join } from "node:path"
import { openMetadata } from "../../src/metadata/open.ts"
import { openDomain } from "../buckets/support.ts"
import { eventually } from "../support/appliance.ts"

function renamed(domain: ReturnType<typeof openDomain>, to: string) {
  const { metadata, namespace } = domain
  const row = metadata.read.organizations.namespace(namespace.internalId, namespace.namespaceId)
  if (row === undefined) throw new Error("the namespace is gone")
  return { ...row, namespace_name: to }
}

test("what is written is read at once, inside the transaction and after it", () => {
  using domain = openDomain()
  const { metadata, namespace } = domain
  const name = () => metadata.read.organizations.namespace(namespace.internalId, namespace.namespaceId)?.namespace_name
  expect(name()).toBe("default")
  metadata.transact((tx) => {
    tx.write.organizations.updateNamespace(renamed(domain, "other"))
    expect(name()).toBe("other")
  })
  expect(name()).toBe("other")
  expect(metadata.read.organizations.namespaces(namespace.internalId).map((row) => row.namespace_name)).toEqual([
    "other",
  ])
})

test("what a transaction read and then rolled back is not remembered", () => {
  using domain = openDomain()
  const { metadata, namespace } = domain
  const name = () => metadata.read.organizations.namespace(namespace.internalId, namespace.namespaceId)?.namespace_name
  expect(() =>
    metadata.transact((tx) => {
      tx.write.organizations.updateNamespace(renamed(domain, "never"))
      expect(name()).toBe("never")
      throw new Error("no")
    }),
  ).toThrow("no")
  expect(name()).toBe("default")
})

test("what another process wrote is seen within a moment", async () => {
  using domain = openDomain()
  const { metadata, namespace, dataDir } = domain
  const name = () => metadata.read.organizations.namespace(namespace.internalId, namespace.namespaceId)?.namespace_name
  expect(name()).toBe("default")
  using other = openMetadata(join(dataDir, "metadata.sqlite"), () => new Date())
  other.transact((tx) => tx.write.organizations.updateNamespace(renamed(domain, "elsewhere")))
  await eventually(async () => (name() === "elsewhere" ? true : null), 1_000)
})
