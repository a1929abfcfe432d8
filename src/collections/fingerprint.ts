import { sha256 } from "../sha256.ts"
import type { ExtractorConfig } from "./extractor.ts"

/**
 * What decides the documents of an object, as one value: the plugin version, its code, and all of the configuration. Two
 * runs with the same fingerprint make the same of the same object. Names and descriptions of a collection are not in it.
 */
export function codeFingerprint(pluginId: string, codeHash: string, config: ExtractorConfig): string {
  const { parameters, params, input_mappings, field_passthrough, include_all_source_fields } = config
  return sha256(
    JSON.stringify([
      pluginId,
      codeHash,
      parameters,
      params,
      input_mappings,
      field_passthrough,
      include_all_source_fields,
    ]),
  )
}
