/**
 * From uploaded bytes to a registered plugin, in the order of api.md §1.3: bytes → expiry → unpack within limits → required
 * files → scan → manifest, read in a worker because it is plugin code → its environment → one transaction. Everything happens in
 * a staging place that goes away whatever happens; only the registry makes it stay.
 */
import type { PluginArchives, StagedArchive } from "../archives/plugin-archives.ts"
import type { ArchiveLimits, UnpackedArchive, unpackArchive } from "../archives/reader.ts"
import type { ConfirmPluginUpload, PluginConfirmation, PluginNote, PluginWarning } from "../contract/plugins.ts"
import { notFound } from "../errors.ts"
import { pluginId } from "../identifiers.ts"
import type { Metadata } from "../metadata/open.ts"
import type { PluginUploadRow } from "../metadata/plugins.ts"
import type { Namespace } from "../organizations/namespaces.ts"
import type { RuleSetName } from "../rule-set-names.ts"
import type { Note } from "../validator/notes.ts"
import type { Scan } from "../validator/scan.ts"
import type { PluginEnvironment, StatedRequirement } from "../workers/environments/plugin-environment.ts"
import type { Wanted } from "../workers/environments/plugin-environments.ts"
import { EnvironmentRefused } from "../workers/environments/refused.ts"
import type { PluginCode } from "../workers/starter.ts"
import { environmentRefused, manifestFailed, noBytes, scanFailed, validationFailed } from "./failures.ts"
import { judgeManifest } from "./manifest.ts"
import type { ManifestReading } from "./probe.ts"
import { type PluginRegistry, packageName } from "./registry.ts"
import { MAX_REQUIREMENTS, manifestRequirements, readRequirementsFile } from "./requirements.ts"
import type { ScanRequest } from "./scan-child.ts"
import { atMost, inTurns } from "./turns.ts"

const REQUIRED_FILES = ["manifest.py", "pipeline.py"]
/** All `.py` files of one plugin are in memory while they are scanned. The largest real plugin seen has 0.4 MB. */
const MAX_SOURCE_BYTES = 16 * 1024 * 1024
/** Each takes a worker process and a core; more would only make all of them slow. */
const AT_ONCE = 2
/** Each asks pip, which takes a core, and may install gigabytes. */
const ENVIRONMENTS_AT_ONCE = 2

interface Deps {
  metadata: Pick<Metadata, "read">
  archives: PluginArchives
  registry: PluginRegistry
  unpack: typeof unpackArchive
  limits: ArchiveLimits
  scan: (request: ScanRequest) => Promise<Scan>
  /** Where the namespace names no rule set of its own. The report names the set, which is stored with the plugin. */
  scanOptions: { strict: boolean; ruleSet: RuleSetName }
  /** Top-level modules of the environment that plugins run in by default; null while there is none. */
  environment: () => Promise<ReadonlySet<string> | null>
  environments: {
    /** Makes ready what a plugin asks for. @throws EnvironmentRefused */
    prepare: (wanted: Wanted) => Promise<PluginEnvironment | null>
    /** Its top-level modules. */
    modules: (environment: PluginEnvironment) => ReadonlySet<string>
  }
  /** In a worker process that is gone when this resolves. A worker that died is a failure, not an exception. */
  readManifest: (plugin: PluginCode) => Promise<ManifestReading>
  now: () => Date
}

export function pluginConfirmation(deps: Deps) {
  const { metadata, archives, registry, now } = deps
  const inTurn = inTurns()
  const withRoom = atMost(AT_ONCE)
  const inOrganizationsTurn = inTurns()
  const withRoomToBuild = atMost(ENVIRONMENTS_AT_ONCE)

  /** Not in the room of the scans, and one of an organization: who waits for gigabytes keeps nobody else from being confirmed. */
  const prepare = async (
    { orgId }: Namespace,
    wanted: Pick<Wanted, "requirements" | "requiresPython">,
  ): Promise<PluginEnvironment | null> => {
    try {
      const work = () => deps.environments.prepare({ organization: orgId, ...wanted })
      return await inOrganizationsTurn(orgId, () => withRoomToBuild(work))
    } catch (error) {
      throw error instanceof EnvironmentRefused ? environmentRefused(error) : error
    }
  }

  /** A manifest that imports what requirements.txt names is read where that is installed. */
  const readManifest = async (
    namespace: Namespace,
    plugin: PluginCode,
    requirements: readonly StatedRequirement[],
  ): Promise<Extract<ManifestReading, { ok: true }>> => {
    const first = await withRoom(() => deps.readManifest(plugin))
    if (first.ok) return first
    if (first.error.error_type !== "dependency" || requirements.length === 0) throw manifestFailed(first.error)
    const environment = await prepare(namespace, { requirements, requiresPython: null })
    const second = await withRoom(() => deps.readManifest({ ...plugin, environment }))
    if (!second.ok) throw manifestFailed(second.error)
    return second
  }

  const confirm = async (
    namespace: Namespace,
    uploadId: string,
    expected: ConfirmPluginUpload,
  ): Promise<PluginConfirmation> => {
    const upload = metadata.read.plugins.upload(uploadId)
    if (upload === undefined || upload.namespace_id !== namespace.namespaceId) throw notFound("plugin upload", uploadId)
    if (upload.answer !== null) return JSON.parse(upload.answer)
    const id = pluginId(upload.name, upload.version)
    const place = { orgId: namespace.orgId, namespaceId: namespace.namespaceId, pluginId: id }

    await using staged = await archives.stage(place, uploadId)
    if (staged === null) throw noBytes(uploadId)
    if (new Date(upload.expires_at) <= now()) {
      throw validationFailed(`The upload expired at ${upload.expires_at}; reserve another one`)
    }
    const found = await withRoom(() => staged.fingerprint())
    refuseOtherBytes(upload, expected, found)
    registry.refuseRegistered(namespace, upload.name, upload.version)

    const scan = await withRoom(() => scanned(deps, namespace, staged))
    const codeHash = await staged.treeHash()
    await staged.freeze()
    const file = await readRequirementsFile(staged.tree)
    if (!file.ok) throw validationFailed(file.problem)
    const plugin = {
      treePath: staged.tree,
      name: upload.name,
      packageName: packageName(namespace.namespaceId, id, codeHash),
    }
    const reading = await readManifest(namespace, plugin, file.requirements)
    const judgement = judgeManifest(reading.manifest, upload)
    if (!judgement.ok) throw validationFailed("manifest.py does not fit", judgement.problems)
    // What runs later must be what was scanned, and plugin code ran in between.
    if ((await staged.treeHash()) !== codeHash) {
      throw validationFailed(
        "The plugin's files changed while its manifest was read: plugin code must not write to its own files",
      )
    }
    const { manifest } = judgement
    const requirements = [...manifestRequirements(manifest.dependencies), ...file.requirements]
    if (requirements.length > MAX_REQUIREMENTS) {
      throw validationFailed(`${requirements.length} requirements are stated, ${MAX_REQUIREMENTS} are taken at most`)
    }
    const environment = await prepare(namespace, {
      requirements,
      requiresPython: manifest.requires_python ?? null,
    })
    const installed = environment === null ? null : deps.environments.modules(environment)
    const answer = await registry.register(namespace, upload, {
      staged,
      archiveFile: `${found.sha256}${await staged.ending()}`,
      archiveBytes: found.bytes,
      codeHash,
      ruleSet: scan.ruleSet,
      notes: scan.notes.filter(({ module }) => module === undefined || installed?.has(module) !== true).map(placedNote),
      warnings: [...scan.warnings.map(placed), ...reading.warnings.map(ofManifest)],
      manifest,
      hasRealtime: reading.hasRealtime,
      environment,
    })
    await archives.dropUpload(place, uploadId)
    return answer
  }

  return {
    /**
     * Validates and registers what was uploaded. Once it passed, it answers the same for as long as the plugin exists; two
     * confirmations of one upload run one after the other, and the second finds the first's answer.
     * @throws NotFoundError, BadRequestError with `violations` or `validation_errors`, AlreadyExistsError
     */
    confirm: (namespace: Namespace, uploadId: string, expected: ConfirmPluginUpload): Promise<PluginConfirmation> =>
      // In the caller's namespace: nobody else's call is to wait for this one, which would tell that the upload is there.
      inTurn(`${namespace.namespaceId}/${uploadId}`, () => confirm(namespace, uploadId, expected)),
  }
}

export type PluginConfirmations = ReturnType<typeof pluginConfirmation>

/** The etag of an object store is the MD5, which clients send back with or without its quotes. */
function refuseOtherBytes(
  upload: PluginUploadRow,
  { etag, file_size_bytes: size }: ConfirmPluginUpload,
  found: { bytes: number; md5: string },
): void {
  const errors: string[] = []
  if (etag != null && etag.replace(/^(W\/)?"(.*)"$/, "$2").toLowerCase() !== found.md5) {
    errors.push(`etag is ${etag}, the uploaded bytes have ${found.md5}`)
  }
  for (const [who, bytes] of [
    ["this request", size],
    ["the reservation", upload.file_size_bytes],
  ] as const) {
    if (bytes != null && bytes !== found.bytes) errors.push(`${who} says ${bytes} bytes, ${found.bytes} were uploaded`)
  }
  if (errors.length > 0) throw validationFailed("The uploaded bytes are not the announced ones", errors)
}

/** Unpacks what is staged and scans it. */
async function scanned(
  deps: Deps,
  namespace: Namespace,
  staged: StagedArchive,
): Promise<Extract<Scan, { passed: true }>> {
  const unpacked = await deps.unpack(staged.archive, staged.tree, deps.limits)
  refuseMissingFiles(unpacked)

  const environment = await deps.environment()
  const ownRuleSet = deps.metadata.read.organizations.namespace(
    namespace.internalId,
    namespace.namespaceId,
  )?.plugin_rule_set
  const scan = await deps.scan({
    tree: staged.tree,
    paths: sources(unpacked),
    options: {
      strict: deps.scanOptions.strict,
      ruleSet: ownRuleSet ?? deps.scanOptions.ruleSet,
      ...(environment === null ? {} : { environment: [...environment] }),
    },
  })
  if (!scan.passed) throw scanFailed(scan)
  return scan
}

function refuseMissingFiles({ files }: UnpackedArchive): void {
  const missing = REQUIRED_FILES.filter((required) => !files.some(({ path }) => path === required))
  if (missing.length === 0) return
  const errors = missing.map((file) => `${file} is missing at the top of the archive (or of its one top directory)`)
  throw validationFailed(`The archive lacks ${missing.join(" and ")}`, errors)
}

function sources({ files }: UnpackedArchive): string[] {
  const python = files.filter(({ path }) => /\.py$/i.test(path))
  const bytes = python.reduce((sum, file) => sum + file.bytes, 0)
  if (bytes > MAX_SOURCE_BYTES) {
    throw validationFailed(`The archive has ${bytes} bytes of Python source; ${MAX_SOURCE_BYTES} are taken at most`)
  }
  return python.map(({ path }) => path)
}

function placed({ file, line, column, message }: Omit<PluginWarning, "severity">): PluginWarning {
  return { file, line, column, message, severity: "warning" }
}

function placedNote({ file, line, column, message }: Note): PluginNote {
  return { file, line, column, message }
}

function ofManifest(message: string): PluginWarning {
  return { file: "manifest.py", line: null, column: null, message, severity: "warning" }
}
