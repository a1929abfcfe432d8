import { existsSync, readFileSync } from "node:fs"
import { writeDurably } from "../write-durably.ts"
import { ADMIN_KEY_NAME, ALL_PERMISSIONS, type ApiKeys } from "./api-keys.ts"
import type { Organizations } from "./organizations.ts"

/** Whoever starts the appliance; keys belong to a user (api.md §10). */
export const ADMIN_EMAIL = "admin@localhost"
export const FIRST_ORGANIZATION = "default"

/**
 * Makes the organization, its namespace `default` and the admin key when there are none, and keeps the key in
 * `keyFile` (0600). A kill between the key and its file is mended at the next start by a key of another name.
 * @returns the key when it was made now, to be shown once
 */
export async function firstStart(organizations: Organizations, keys: ApiKeys, keyFile: string): Promise<string | null> {
  const { row } = organizations.ensure(FIRST_ORGANIZATION)
  const owner = { internalId: row.internal_id, orgId: row.org_id, userEmail: ADMIN_EMAIL }
  if (existsSync(keyFile) && readFileSync(keyFile, "utf8").trim() !== "") return null
  const taken = new Set(keys.list(owner, ADMIN_EMAIL, true).map((key) => key.name))
  let name = ADMIN_KEY_NAME
  for (let count = 2; taken.has(name); count++) name = `${ADMIN_KEY_NAME}-${count}`
  const { key } = keys.create(owner, ADMIN_EMAIL, {
    name,
    description: "Made at the first start",
    permissions: ALL_PERMISSIONS,
  })
  await writeDurably(keyFile, (file) => file.writeFile(`${key}\n`))
  return key
}
