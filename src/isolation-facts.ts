import { z } from "zod"

/** Said by a worker before it knows the plugin, so it can be believed once the supervisor has seen the process from outside. */
export const IsolationFacts = z.object({
  landlock_abi: z.int().nullable().default(null).meta({ description: "Version of Landlock in use; null without it" }),
  landlock_missing: z
    .array(z.string().max(64))
    .max(16)
    .default([])
    .meta({ description: "Rights that this kernel's Landlock does not know yet; the system call filter stands in" }),
  namespaces: z.array(z.string().max(64)).max(16).default([]).meta({ description: "Its own, at level full" }),
  network: z
    .enum(["denied", "proxy-netns", "proxy-port", "open"])
    .default("open")
    .meta({
      description:
        "denied; or, for plugins with a step of resource type API: through the proxy from an empty network (proxy-netns), " +
        "through the proxy's port (proxy-port), everything (open)",
    }),
  memory: z.enum(["cgroup", "rlimit", "unbounded"]).default("unbounded").meta({
    description:
      "What bounds it: a control group; the kernel's limit on private memory and a look at the rest every 50 ms",
  }),
  gpu: z.enum(["none", "leased", "absent"]).default("none").meta({
    description:
      "none: it asked for none; leased: it sees one; absent: this machine has none, so it computes on the CPU",
  }),
  stat_hidden: z
    .boolean()
    .default(false)
    .meta({ description: "Whether existence and size of other files are hidden too" }),
  uid: z
    .int()
    .nullable()
    .default(null)
    .meta({ description: "The user that plugin code runs as: the server's own, without any capability" }),
  self_test: z.boolean().default(false).meta({ description: "It tried to get out, and could not" }),
})
export type IsolationFacts = z.infer<typeof IsolationFacts>
