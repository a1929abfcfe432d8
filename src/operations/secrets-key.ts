import { randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { writeDurably } from "../write-durably.ts"

const KEY_BYTES = 32

/** The appliance's own secret, made at the first start, 0600. @throws when the file is not 32 bytes: it was tampered with */
export async function secretsKey(path: string): Promise<Uint8Array> {
  if (!existsSync(path)) await writeDurably(path, (file) => file.writeFile(randomBytes(KEY_BYTES)))
  const key = readFileSync(path)
  if (key.byteLength !== KEY_BYTES)
    throw new Error(`${path} is damaged: ${key.byteLength} bytes in place of ${KEY_BYTES}. Restore it from a backup.`)
  return key
}
