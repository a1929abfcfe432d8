/**
 * The plugin domain on a real database and real files. Only the worker that reads a manifest is stood in for, by a reader
 * of the two lines that matter: these tests are about what happens around it. `lifecycle.test.ts` has the real one.
 */

import { mkdtempSync, readFileSync } from "node:fs"
import { mkdir, readdir } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import pino from "pino"
import { pluginArchives } from "../../src/archives/plugin-archives.ts"
import { DEFAULT_ARCHIVE_LIMITS, unpackArchive } from "../../src/archives/reader.ts"
import { removeTree } from "../../src/archives/trees.ts"
import { deploymentLogs } from "../../src/deployments/deployment-logs.ts"
import { deployments } from "../../src/deployments/deployments.ts"
import { rollouts } from "../../src/deployments/rollout.ts"
import type { ApplianceError } from "../../src/errors.ts"
import { openMetadata } from "../../src/metadata/open.ts"
import type { Namespace } from "../../src/organizations/namespaces.ts"
import { quotas } from "../../src/organizations/quotas.ts"
import { pluginConfirmation } from "../../src/plugins/confirmation.ts"
import { extractors } from "../../src/plugins/extractors.ts"
import { plugins } from "../../src/plugins/plugins.ts"
import type { ManifestReading } from "../../src/plugins/probe.ts"
import { pluginRegistry } from "../../src/plugins/registry.ts"
import { scanTree } from "../../src/plugins/scan-child.ts"
import { pluginUploads } from "../../src/plugins/uploads.ts"
import { Quotas } from "../../src/quotas.ts"
import type { PluginCode } from "../../src/workers/starter.ts"
import { pluginFiles, zip } from "./packing.ts"

export const ARCHIVE_BYTES = 1024 * 1024

export interface TestOptions {
  readManifest?: (plugin: PluginCode) => Promise<ManifestReading>
  strict?: boolean
}

export function testPlugins({ readManifest = readTwoLines, strict = false }: TestOptions = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), "mixpeek-plugins-"))
  const clock = { at: new Date("2026-01-10T12:00:00.500Z") }
  const now = () => clock.at
  const metadata = openMetadata(join(dataDir, "metadata.sqlite"), now)
  const namespace = addNamespace(metadata, "ns_testtesttest", "default")
  const elsewhere = addNamespace(metadata, "ns_elsewhere000", "elsewhere")
  const archives = pluginArchives(dataDir)
  const limits = quotas(Quotas.parse({}))
  const log = pino({ level: "silent" })
  const signUrl = ({ method, path }: { method: string; path: string }) => `signed:${method}:${path}`
  const registry = pluginRegistry({ metadata, archives, quotas: limits, now, log })
  const uploads = pluginUploads({ metadata, archives, quotas: limits, signUrl, now, archiveBytes: ARCHIVE_BYTES })
  const confirmations = pluginConfirmation({
    metadata,
    archives,
    registry,
    unpack: unpackArchive,
    limits: DEFAULT_ARCHIVE_LIMITS,
    scan: (request) => scanTree(request),
    scanOptions: { strict, ruleSet: "seed-2026-01" },
    environment: async () => new Set(["numpy", "pydantic"]),
    environments: { prepare: async () => null, modules: () => new Set() },
    readManifest,
    now,
  })
  const rolling = rollouts({
    metadata,
    namespaceById: () => namespace,
    pluginById: registry.get,
    revision: () => {
      throw new Error("no worker is started here")
    },
    bakeMs: 0,
    memoryAvailable: () => Number.POSITIVE_INFINITY,
    now,
    log,
  })
  const serving = deployments({ metadata, rollouts: rolling, logs: deploymentLogs(now), now })
  const parts = {
    dataDir,
    metadata,
    namespace,
    elsewhere,
    archives,
    registry,
    uploads,
    confirmations,
    plugins: plugins({
      metadata,
      archives,
      registry,
      signUrl,
      deployed: serving.deployed,
      takeDown: serving.forget,
      onRemoved: () => undefined,
      now,
    }),
    deployments: serving,
    extractors: extractors({ metadata, deployed: serving.deployed }),
    wait: (milliseconds: number) => {
      clock.at = new Date(clock.at.getTime() + milliseconds)
    },
    reserve: (name: string, version = "1.0.0", more: { file_size_bytes?: number; description?: string } = {}) =>
      uploads.reserve(namespace, { name, version, ...more }, () => undefined),
    put: (uploadId: string, bytes: Uint8Array) =>
      uploads.receive(uploadId, { chunks: inPieces(bytes), announcedBytes: bytes.byteLength }),
    confirm: (uploadId: string, expected: { etag?: string; file_size_bytes?: number } = {}) =>
      confirmations.confirm(namespace, uploadId, expected),
    /** Reserves, uploads and confirms. */
    async publish(name: string, version = "1.0.0", files: Record<string, string> = pluginFiles(name, version)) {
      const { upload_id: id } = parts.reserve(name, version)
      await parts.put(id, await zip(files))
      return parts.confirm(id)
    },
    /** Every file below `archives/`. */
    async files(): Promise<string[]> {
      await mkdir(join(dataDir, "archives"), { recursive: true })
      const entries = await readdir(join(dataDir, "archives"), { recursive: true, withFileTypes: true })
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(dataDir.length + "/archives/".length))
        .sort()
    },
    async [Symbol.asyncDispose]() {
      metadata[Symbol.dispose]()
      await removeTree(dataDir)
    },
  }
  return parts
}

export async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

/** The refusal of `work`; fails when it was done. */
export async function refusal(work: Promise<unknown> | (() => unknown)): Promise<ApplianceError> {
  try {
    await (typeof work === "function" ? work() : work)
  } catch (error) {
    // What is no ApplianceError fails the test at its first assertion on `type`.
    return error as ApplianceError
  }
  throw new Error("it was not refused")
}

export async function readTwoLines({ treePath }: PluginCode): Promise<ManifestReading> {
  const text = readFileSync(join(treePath, "manifest.py"), "utf8")
  const value = (key: string) => new RegExp(`"${key}": "([^"]*)"`).exec(text)?.[1] ?? ""
  return {
    ok: true,
    hasRealtime: await Bun.file(join(treePath, "realtime.py")).exists(),
    warnings: text.includes("older spelling") ? ["features[0] uses an older spelling"] : [],
    manifest: {
      feature_extractor_name: value("feature_extractor_name"),
      version: value("version"),
      description: value("description"),
      category: "text",
      input_schema: { type: "object", properties: { text: { type: "string" } } },
      output_schema: { type: "object", properties: { label: { type: "string" } } },
      parameter_schema: { type: "object", properties: { threshold: { type: "number", default: 0.5 }, model: {} } },
      supported_input_types: ["text"],
      features: [
        { feature_name: "an_embedding", feature_type: "embedding", embedding_dim: 4, distance_metric: "cosine" },
      ],
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
    },
  }
}

function addNamespace(metadata: ReturnType<typeof openMetadata>, namespaceId: string, name: string): Namespace {
  const at = "2026-01-10T12:00:00.000Z"
  const organization = { internalId: "int_test", orgId: "org_testtesttest" }
  metadata.transact((tx) => {
    if (tx.read.organizations.byInternalId(organization.internalId) === undefined) {
      tx.write.organizations.insert({
        internal_id: organization.internalId,
        org_id: organization.orgId,
        organization_name: "test",
        created_at: at,
        updated_at: at,
      })
    }
    tx.write.organizations.insertNamespace({
      namespace_id: namespaceId,
      internal_id: organization.internalId,
      namespace_name: name,
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
  })
  return { namespaceId, name, ...organization }
}
