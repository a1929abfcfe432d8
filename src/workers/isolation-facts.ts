import { z } from "zod"

/** Said by a worker before it knows the plugin, so it can be believed once the supervisor has seen the process from outside. */
export const IsolationFacts = z.object({
  landlock_abi: z.int().nullable().default(null),
  /** Rights that this kernel's Landlock does not know yet; the system call filter stands in for them. */
  landlock_missing: z.array(z.string().max(64)).max(16).default([]),
  namespaces: z.array(z.string().max(64)).max(16).default([]),
  network: z.enum(["denied", "proxy-netns", "proxy-port", "open"]).default("open"),
  memory: z.enum(["cgroup", "rlimit", "unbounded"]).default("unbounded"),
  /** Whether existence and size of other tenants' files are hidden too. */
  stat_hidden: z.boolean().default(false),
  /** The user that plugin code runs as: the server's own, without any capability. */
  uid: z.int().nullable().default(null),
  self_test: z.boolean().default(false),
})
export type IsolationFacts = z.infer<typeof IsolationFacts>
