/** How far plugin code may use the network. Who may is the appliance's to say: only steps of resource type API get any. */
import { z } from "zod"

/** `proxy`: what the allowlist of the namespace names, through a proxy that resolves and dials. `open`: everything. */
export const NETWORK_MODES = ["none", "proxy", "open"] as const
export type NetworkMode = (typeof NETWORK_MODES)[number]

const NAME = String.raw`(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*`
const ADDRESS = String.raw`\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?|\[[0-9a-f:.]+\](?:/\d{1,3})?|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*(?:/\d{1,3})?`
const ENTRY = new RegExp(`^(?:${ADDRESS}|${NAME})(?::\\d{1,5})?$`, "i")

/** The worker's proxy reads the same (python/plugin_worker/egress_allowlist.py) and is the judge of what an address is. */
export const EgressEntry = z
  .string()
  .min(1)
  .max(260)
  .regex(
    ENTRY,
    "an entry is a host, host:port, *.domain, address or network such as 10.1.0.0/16; without a port it means 80 and 443",
  )
  .refine(isEntry, "it has a port, an address or a prefix that does not exist")

export const EgressAllowlist = z.array(EgressEntry).max(200)

/** What a worker may reach. */
export type Network =
  | { readonly mode: "none" }
  | { readonly mode: "proxy"; readonly allow: readonly string[] }
  | { readonly mode: "open" }

function isEntry(text: string): boolean {
  const { host = "", port } =
    /^(?<host>\[[^\]]*\](?:\/\d+)?|[^:]*|.*:.*:.*?)(?::(?<port>\d{1,5}))?$/.exec(text)?.groups ?? {}
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return false
  const [address = "", prefix] = host.split("/")
  const bare = address.replace(/^\[|\]$/g, "")
  const v4 = /^[\d.]+$/.test(bare)
  if (!v4 && !bare.includes(":")) return host.length <= 253 && prefix === undefined
  const known = v4 ? bare.split(".").every((part) => Number(part) <= 255) : URL.canParse(`http://[${bare}]/`)
  return known && (prefix === undefined || Number(prefix) <= (v4 ? 32 : 128))
}
