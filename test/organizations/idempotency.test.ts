import { expect, test } from "bun:test"
import { idempotency } from "../../src/organizations/idempotency.ts"
import { openDomain } from "../buckets/support.ts"

test("a key that has expired and was not swept yet takes another request, whose answer it keeps", async () => {
  using domain = openDomain()
  const { metadata, clock, namespace } = domain
  const keys = idempotency({ metadata, now: () => clock.now })
  const ask = (body: string) =>
    keys.once(namespace, "k", { method: "POST", path: "/v1/x", body }, 200, async (remember) => {
      const answer = { made: body }
      metadata.transact((tx) => remember(tx, answer))
      return answer
    })
  await ask("first")
  await expect(ask("second")).rejects.toThrow("used for another request")
  clock.now = new Date(clock.now.getTime() + 25 * 3600 * 1000)
  expect(await ask("second")).toEqual({ answer: { made: "second" }, replayed: false })
  expect(await ask("second")).toEqual({ answer: { made: "second" }, replayed: true })
})
