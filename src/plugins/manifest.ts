/** What a plugin's code says of it, judged: the worker read it, but plugin code shares the worker's process. */
import { normalizeVersion } from "../identifiers.ts"
import type { Manifest } from "../workers/protocol.ts"

export interface PluginFeature {
  feature_name: string
  feature_type: string
  embedding_dim: number
  distance_metric: string
}

export type PluginManifest = Omit<Manifest, "features"> & { features: PluginFeature[] }

export type Judgement = { ok: true; manifest: PluginManifest } | { ok: false; problems: string[] }

/** As the worker has them (limits.py): a part holds one file per feature. */
const MAX_FEATURES = 32
const MAX_DIMENSIONS = 65_536
const METRICS = ["cosine", "euclid", "dot"]
/** It becomes part of a feature URI and of dotted filter paths. */
const FEATURE_NAME = /^[\p{L}_][\p{L}\p{N}_-]{0,127}$/u

/** `upload` is what was reserved, its version normalised: the code must say the same of itself. */
export function judgeManifest(manifest: Manifest, upload: { name: string; version: string }): Judgement {
  const problems = [...identityProblems(manifest, upload)]
  const features: PluginFeature[] = []
  if (manifest.features.length > MAX_FEATURES) {
    problems.push(`features: at most ${MAX_FEATURES} vectors, this plugin declares ${manifest.features.length}`)
  }
  for (const [index, feature] of manifest.features.entries()) {
    const { embedding_dim: size, distance_metric: metric, feature_name: name } = feature
    const where = `features[${index}]`
    if (!FEATURE_NAME.test(name)) {
      problems.push(`${where}.feature_name '${name}' must be a word of letters, digits, '_' and '-', 128 at most`)
    } else if (features.some((other) => other.feature_name === name)) {
      problems.push(`${where}.feature_name '${name}' occurs twice`)
    }
    if (size === null || size < 1 || size > MAX_DIMENSIONS) {
      problems.push(`${where}.embedding_dim must be a whole number from 1 to ${MAX_DIMENSIONS}`)
    } else if (metric === null || !METRICS.includes(metric)) {
      problems.push(`${where}.distance_metric must be one of ${METRICS.join(", ")}`)
    } else {
      features.push({
        feature_name: name,
        feature_type: feature.feature_type,
        embedding_dim: size,
        distance_metric: metric,
      })
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, manifest: { ...manifest, features } }
}

function* identityProblems(manifest: Manifest, upload: { name: string; version: string }): Generator<string> {
  if (manifest.feature_extractor_name !== upload.name) {
    yield `manifest.py says feature_extractor_name '${manifest.feature_extractor_name}', the upload was reserved for '${upload.name}'`
  }
  const version = normalizeVersion(manifest.version)
  if (version === null) yield `manifest.py says version '${manifest.version}', which is not one like 1.0.0, 1.0 or v1`
  else if (version !== upload.version) {
    yield `manifest.py says version '${manifest.version}', the upload was reserved for '${upload.version}'`
  }
}
