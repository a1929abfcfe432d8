import { z } from "zod"

const limit = (description: string) => z.int().min(1).nullable().default(null).meta({ description })

/** What one namespace may use of the appliance; null leaves it unlimited. */
export const Quotas = z.object({
  plugins: limit("Registered plugin versions"),
  objects: limit("Objects in all buckets together"),
  bytes: limit("Bytes of objects, of uploads that are not confirmed yet, and of plugin archives"),
  workers: limit("Batch workers at one time"),
  requests_per_second: limit("Requests for this namespace, in each second"),
})
export type Quotas = z.output<typeof Quotas>
