import type { OrganizationModel } from "../contract/organizations.ts"
import { notFound } from "../errors.ts"
import { newId } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { OrganizationRow } from "../metadata/organizations.ts"
import type { Caller } from "./authentication.ts"

/** Requests per minute when nothing limits them: the field is a positive integer and cannot be null. */
const UNLIMITED = 2_147_483_647

interface Deps {
  metadata: Pick<Metadata, "read" | "transact">
  now: () => Date
}

export function organizations({ metadata, now }: Deps) {
  return {
    get(caller: Caller): OrganizationModel {
      const row = metadata.read.organizations.byInternalId(caller.internalId)
      if (row === undefined) throw notFound("organization", caller.orgId)
      return {
        organization_id: row.org_id,
        organization_name: row.organization_name,
        // A self-hosted appliance has no tiers, credits or limits by kind of request (api.md §1.6); the SDK wants the fields.
        account_type: "enterprise",
        credit_count: 0,
        rate_limits: {
          metadata: UNLIMITED,
          data: UNLIMITED,
          search: UNLIMITED,
          upload: UNLIMITED,
          compute: UNLIMITED,
        },
        metadata: {},
        created_at: row.created_at,
        updated_at: row.updated_at,
      }
    },

    /** The organization of this name with a namespace `default`, made when there is none. */
    ensure(name: string): { row: OrganizationRow; created: boolean } {
      return metadata.transact((tx) => {
        const existing = tx.read.organizations.byName(name)
        if (existing !== undefined) return { row: existing, created: false }
        const at = now().toISOString()
        const row = {
          internal_id: newId("int"),
          org_id: newId("org"),
          organization_name: name,
          created_at: at,
          updated_at: at,
        }
        tx.write.organizations.insert(row)
        tx.write.organizations.insertNamespace({
          namespace_id: newId("ns"),
          internal_id: row.internal_id,
          namespace_name: "default",
          description: null,
          feature_extractors: "[]",
          payload_indexes: null,
          auto_create_indexes: 0,
          plugin_rule_set: null,
          quotas: null,
          egress_allowlist: null,
          created_at: at,
          updated_at: at,
        })
        return { row, created: true }
      })
    },
  }
}

export type Organizations = ReturnType<typeof organizations>
