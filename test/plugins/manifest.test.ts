import { expect, test } from "bun:test"
import { judgeManifest } from "../../src/plugins/manifest.ts"
import type { Manifest } from "../../src/workers/protocol.ts"

const UPLOAD = { name: "my_extractor", version: "1.0.0" }
const FEATURE = { feature_name: "vector", feature_type: "embedding", embedding_dim: 4, distance_metric: "cosine" }

function judged(changes: Partial<Manifest>) {
  const manifest: Manifest = {
    feature_extractor_name: "my_extractor",
    version: "1.0.0",
    description: null,
    category: null,
    input_schema: null,
    output_schema: null,
    parameter_schema: null,
    supported_input_types: [],
    features: [],
    dependencies: [],
    input_mappings: null,
    compute_profile: null,
    feature_uri: null,
    example_input: null,
    example_output: null,
    required_vector_indexes: null,
    tier: null,
    tier_label: null,
    requires_python: null,
    ...changes,
  }
  const judgement = judgeManifest(manifest, UPLOAD)
  return judgement.ok ? [] : judgement.problems
}

test.each([
  ["no features at all", { features: [] }],
  ["one vector", { features: [FEATURE] }],
  ["a name in another alphabet", { features: [{ ...FEATURE, feature_name: "вектор_1" }] }],
  ["a version in another spelling", { version: "v1.0" }],
])("%s is taken", (_, changes) => {
  expect(judged(changes)).toEqual([])
})

test.each([
  ["another name", { feature_extractor_name: "My_Extractor" }, "reserved for 'my_extractor'"],
  ["another version", { version: "1.0.1" }, "reserved for '1.0.0'"],
  ["no version", { version: "latest" }, "which is not one like"],
  ["a feature name with a slash", { features: [{ ...FEATURE, feature_name: "a/b" }] }, "must be a word"],
  ["a feature name with a dot", { features: [{ ...FEATURE, feature_name: "a.b" }] }, "must be a word"],
  ["one feature name twice", { features: [FEATURE, FEATURE] }, "occurs twice"],
  ["no dimension", { features: [{ ...FEATURE, embedding_dim: null }] }, "embedding_dim must be"],
  ["dimension 0", { features: [{ ...FEATURE, embedding_dim: 0 }] }, "embedding_dim must be"],
  ["a dimension too many", { features: [{ ...FEATURE, embedding_dim: 65_537 }] }, "embedding_dim must be"],
  ["an unknown metric", { features: [{ ...FEATURE, distance_metric: "hamming" }] }, "distance_metric must be"],
  [
    "too many features",
    { features: Array.from({ length: 33 }, (_, index) => ({ ...FEATURE, feature_name: `f${index}` })) },
    "at most 32",
  ],
])("%s is refused and said", (_, changes, reason) => {
  expect(judged(changes)).toEqual([expect.stringContaining(reason)])
})
