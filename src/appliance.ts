/**
 * The only place where parts are built and joined. Start: directory, lock, runtime, database, recovery of what a kill
 * left, child processes, HTTP. Stop is the same stack in reverse.
 */
import { access, constants, realpath, rm } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { blobStore } from "./archives/blobs.ts"
import { pluginArchives } from "./archives/plugin-archives.ts"
import { DEFAULT_ARCHIVE_LIMITS, unpackArchive } from "./archives/reader.ts"
import { batchRunning } from "./batches/batch-running.ts"
import { batches } from "./batches/batches.ts"
import { batchEvents } from "./batches/events.ts"
import { tasks } from "./batches/tasks.ts"
import { blobFiles } from "./buckets/blob-files.ts"
import { bucketUploads } from "./buckets/bucket-uploads.ts"
import { buckets } from "./buckets/buckets.ts"
import { objects } from "./buckets/objects.ts"
import { collections } from "./collections/collections.ts"
import { collectionDocuments } from "./collections/documents.ts"
import { collectionVersions } from "./collections/versions.ts"
import { type Config, hostEnvironment, networkOf, searchPath } from "./config.ts"
import { prepareDataDirectory } from "./data-directory.ts"
import { realtime } from "./deployments/realtime.ts"
import { startDocuments } from "./documents/process.ts"
import { removeCollectionFiles, sweepDocumentFiles } from "./documents/sweep.ts"
import { httpApp } from "./http/app.ts"
import { inferenceFront } from "./http/inference-front.ts"
import { serveHttp } from "./http/server.ts"
import type { Log } from "./log.ts"
import { lockDirectory } from "./metadata/directory-lock.ts"
import { openMetadata } from "./metadata/open.ts"
import { health, succeeds } from "./operations/health.ts"
import { memoryAvailable } from "./operations/memory-available.ts"
import { memoryValve } from "./operations/memory-valve.ts"
import { processRecords } from "./operations/process-records.ts"
import { secretsKey } from "./operations/secrets-key.ts"
import { notices, refuseOpenHost, warnOfLoosening } from "./operations/start-notices.ts"
import { sweeper } from "./operations/sweep.ts"
import { apiKeys } from "./organizations/api-keys.ts"
import { authentication } from "./organizations/authentication.ts"
import { firstStart } from "./organizations/first-start.ts"
import { idempotency } from "./organizations/idempotency.ts"
import { type Namespace, namespaceById, namespaces } from "./organizations/namespaces.ts"
import { organizations } from "./organizations/organizations.ts"
import { quotas } from "./organizations/quotas.ts"
import { rateLimits } from "./organizations/rate-limits.ts"
import { pluginConfirmation } from "./plugins/confirmation.ts"
import { extractors } from "./plugins/extractors.ts"
import { plugins } from "./plugins/plugins.ts"
import { pluginProbe } from "./plugins/probe.ts"
import { pluginRegistry } from "./plugins/registry.ts"
import { scanProcess } from "./plugins/scan-process.ts"
import { pluginUploads } from "./plugins/uploads.ts"
import { presignedUrls } from "./presigned-urls.ts"
import { ownCommand, prepareRuntime } from "./runtime.ts"
import { gpuLeases } from "./scheduler/gpu-leases.ts"
import { nvidiaProbe } from "./scheduler/nvidia-probe.ts"
import { VERSION } from "./version.ts"
import { delegatedCgroups } from "./workers/cgroups.ts"
import { modulesIn } from "./workers/environments/modules.ts"
import { pluginEnvironments } from "./workers/environments/plugin-environments.ts"
import { workerStarter } from "./workers/starter.ts"
import { workerFacts } from "./workers/worker-facts.ts"
import { failLandings } from "./write-durably.ts"

/** The largest plugin that the scan takes, 8 MiB of source, needs some seconds on one slow core. */
const SCAN_DEADLINE_MS = 60_000

export interface Appliance {
  readonly url: string
  /** The admin key when this start made it. */
  readonly firstKey: string | null
  /** What the admin should know, a line each. */
  readonly notices: readonly string[]
  [Symbol.asyncDispose](): Promise<void>
}

/** @throws ConfigError, DirectoryInUse, or what makes a start impossible; what was begun is undone */
export async function startAppliance(config: Config, log: Log): Promise<Appliance> {
  const now = () => new Date()
  const { dataDir } = config
  await using starting = new AsyncDisposableStack()

  await prepareDataDirectory(dataDir)
  const lock = starting.use(lockDirectory(dataDir, now))
  const runtime = await prepareRuntime(join(dataDir, "runtime"))
  const metadata = starting.use(openMetadata(join(dataDir, "metadata.sqlite"), now))
  const processes = processRecords({ metadata, now, log })
  await processes.recover()
  for (const folder of ["spool", "scratch"]) await rm(join(dataDir, folder), { recursive: true, force: true })

  // Bound late: the address is known when the server listens.
  let url = config.publicUrl ?? ""
  const urls = presignedUrls(await secretsKey(join(dataDir, "secrets.key")), () => url, now)

  const orgs = organizations({ metadata, now })
  const keys = apiKeys({ metadata, now })
  const firstKey = await firstStart(orgs, keys, join(dataDir, "admin.key"))

  const facts = () =>
    workerFacts({
      environmentsDir: join(dataDir, "environments"),
      pythonTree: runtime.pythonTree,
      minimumIsolation: config.minimumIsolation,
      isolationLimits: config.isolationLimits,
      pathVariable: searchPath(),
      ...(config.python === null ? {} : { override: config.python }),
    })
  const gpus = starting.use(
    gpuLeases({
      probe: nvidiaProbe(searchPath()),
      reclaim: () => running.endIdleWithGpu(),
      refuseWithout: config.gpuFallback === "refuse",
      now: () => performance.now(),
      log,
    }),
  )
  const environments = pluginEnvironments({
    dataDir,
    pythonTree: runtime.pythonTree,
    scratchDir: join(dataDir, "scratch"),
    confinement: { limits: config.workerLimits, hidden: [await realpath(dataDir)], ...config.isolationLimits },
    sourceBuilds: config.sourceBuilds,
    ...(config.index === null ? {} : { index: config.index }),
    ...(config.indexCredentials === null ? {} : { credentials: config.indexCredentials }),
    hostEnvironment: hostEnvironment(),
    now,
    log,
  })
  await environments.sweep()
  const starter = starting.use(
    workerStarter({
      facts,
      environments,
      pythonTree: runtime.pythonTree,
      scratchDir: join(dataDir, "scratch"),
      dataDir,
      limits: config.workerLimits,
      cgroups: delegatedCgroups(),
      isolationLimits: config.isolationLimits,
      started: (record) => processes.started(record, "worker"),
      ended: processes.ended,
      log,
    }),
  )
  failLandings(config.landingFault)
  // Beside each other: both wait for processes of theirs.
  const [looked, opened] = await Promise.allSettled([
    starter.current(),
    startDocuments({
      command: [
        ...ownCommand(),
        "documents-process",
        dataDir,
        ...(runtime.nativeDirectory === null ? [] : [runtime.nativeDirectory]),
      ],
      dataDir,
      memoryLimitMb: config.documentsMemoryMb,
      // Two at least: with one, DuckDB does not keep the order in which a part is written (documents/write-part.ts).
      threads: Math.max(2, availableParallelism() - 1),
      temporaryDir: join(dataDir, "spool", "duckdb"),
      landingFault: config.landingFault,
      onSpawn: processes.spawned("documents"),
      log,
    }),
  ])
  if (opened.status === "rejected") throw opened.reason
  const documents = starting.use(opened.value)
  if (looked.status === "rejected") throw looked.reason
  const firstFacts = looked.value
  refuseOpenHost(config, firstFacts.isolation.level)
  warnOfLoosening(config, firstFacts, log)

  const archives = pluginArchives(dataDir)
  const limits = quotas(config.quotas)
  const registry = pluginRegistry({ metadata, archives, quotas: limits, now, log })
  const uploads = pluginUploads({
    metadata,
    archives,
    quotas: limits,
    signUrl: urls.sign,
    now,
    archiveBytes: config.archiveBytes,
  })
  const probe = pluginProbe({ starter, deadlineMs: config.manifestDeadlineMs })
  const confirmations = pluginConfirmation({
    metadata,
    archives,
    registry,
    unpack: unpackArchive,
    limits: { ...DEFAULT_ARCHIVE_LIMITS, packedBytes: config.archiveBytes },
    scan: config.scan
      ? scanProcess({
          command: [...ownCommand(), "scan-process"],
          deadlineMs: SCAN_DEADLINE_MS,
          onSpawn: processes.spawned("scan"),
        })
      : async () => ({ passed: true, warnings: [], notes: [], ruleSet: config.ruleSet }),
    scanOptions: { strict: config.strictScan, ruleSet: config.ruleSet },
    environment: async () => {
      const { environment } = await starter.current()
      return environment?.ready === true ? modulesIn([environment.sitePackages]) : null
    },
    environments: {
      prepare: async (wanted) => environments.prepare(wanted, await starter.current()),
      modules: environments.modules,
    },
    readManifest: probe.readManifest,
    now,
  })

  const find = {
    namespaceById: (id: string) => namespaceById(metadata, id),
    pluginById: registry.get,
    networkOf: ({ namespaceId }: Namespace) =>
      networkOf(config, metadata.read.organizations.egressAllowlist(namespaceId)),
  }
  const live = starting.use(
    realtime({
      ...find,
      metadata,
      starter,
      gpus,
      idleMs: config.realtimeIdleMs,
      bakeMs: config.bakeMs,
      deadlineMs: config.requestDeadlineMs,
      memoryAvailable,
      now,
      log,
    }),
  )
  const { rollouts: rolling, deployments: serving } = live

  const blobs = blobStore({ dataDir })
  const files = blobFiles({ metadata, blobs, log })

  const running = starting.use(
    batchRunning({
      ...find,
      metadata,
      documents,
      starter,
      gpus,
      dataDir,
      blobDirectory: blobs.directory,
      cores: availableParallelism(),
      processorsTaken: rolling.processors,
      config,
      now,
      log,
    }),
  )
  const once = idempotency({ metadata, now })
  const bucketDomain = buckets({ metadata, blobs, now, onRemoved: () => sweep.soon() })
  const objectUploads = bucketUploads({
    metadata,
    blobs,
    files,
    quotas: limits,
    signUrl: urls.sign,
    uploadBytes: config.uploadBytes,
    now,
  })
  const sweepDocuments = (minAgeMs: number) => sweepDocumentFiles(dataDir, metadata.read.parts.files(), minAgeMs)
  const sweep = sweeper({
    sweepDocuments,
    metadata,
    buckets: bucketDomain,
    uploads: objectUploads,
    endBatches: running.endBatches,
    endRuns: running.endRuns,
    endUnwantedWorkers: running.endUnwantedWorkers,
    removeCollectionFiles: (place) =>
      removeCollectionFiles(dataDir, place.org_id, place.namespace_id, place.collection_id),
    erasePlugins: (place) => {
      serving.eraseNamespace(place.namespaceId)
      return uploads.eraseNamespace(place)
    },
    sweepIdempotency: once.sweep,
    collectEnvironments: () => environments.collect(metadata.read.plugins.environments(), config.environmentGraceMs),
    now,
    log,
  })
  starting.use(sweep)

  const batchDomain = batches({ ...running, metadata, now, pluginById: registry.get, onSubmitted: running.planSoon })
  const following = batchEvents({ metadata, progress: running.progress, log })
  const namespaceDomain = namespaces({
    metadata,
    quotas: limits,
    egressAllowlist: config.egressAllowlist,
    now,
    onRemoved: () => sweep.soon(),
  })
  const askers = {
    authentication: authentication({ metadata, now }),
    rateLimits: rateLimits(now),
    requestsPerSecond: config.quotas.requests_per_second,
  }
  const app = httpApp({
    log,
    ...askers,
    idempotency: once,
    organizations: orgs,
    apiKeys: keys,
    namespaces: namespaceDomain,
    ...health({
      metadata,
      documentsAlive: () => documents.pid !== null,
      documentsAnswer: () => succeeds(() => documents.count({ parts: [] })),
      workerFacts: starter.current,
      storageWritable: () => succeeds(() => access(dataDir, constants.W_OK)),
      deployments: rolling.conditions,
      version: VERSION,
    }),
    plugins: plugins({
      metadata,
      archives,
      registry,
      signUrl: urls.sign,
      deployed: serving.deployed,
      takeDown: serving.forget,
      onRemoved: () => sweep.soon(),
      now,
    }),
    deployments: serving,
    endpoint: live.endpoint,
    pluginUploads: uploads,
    pluginConfirmations: confirmations,
    extractors: extractors({ metadata, deployed: serving.deployed }),
    presignedUrls: urls,
    buckets: bucketDomain,
    objects: objects({
      metadata,
      blobs,
      files,
      quotas: limits,
      signUrl: urls.sign,
      startBatch: (namespace, bucketId, objectIds) =>
        void batchDomain.trigger(namespace, bucketId, { object_ids: [...objectIds] }, () => {}),
      now,
    }),
    versions: collectionVersions({ metadata, documents, dataDir }),
    blobFiles: files,
    bucketUploads: objectUploads,
    collections: collections({
      metadata,
      now,
      knownPlugins: registry.known,
      checkParameters: (_, plugin, parameters) => probe.checkParameters(plugin, parameters),
      onRemoved: () => sweep.soon(),
    }),
    documents: collectionDocuments({ metadata, documents, dataDir, signUrl: urls.sign, now }),
    batches: batchDomain,
    batchEvents: following,
    tasks: tasks({
      metadata,
      confinement: namespaceDomain.confinement,
      cancelBatch: (batchId) => running.endBatches([batchId]),
    }),
  })

  starting.use(memoryValve(rolling.requests))
  await putFilesInOrder()
  const front = inferenceFront({
    log,
    ...askers,
    namespaces: namespaceDomain,
    endpoint: live.endpoint,
    writes: metadata.writes,
    now,
  })
  const server = serveHttp(app.fetch, front, config.host, config.port)
  starting.defer(() => server.stop(config.shutdownGraceMs))
  // Before the server stops: it waits for its answers, and these have no end.
  starting.use(following)
  if (config.publicUrl === null) url = server.url
  lock.announce(server.url)
  rolling.recover()
  running.planSoon()
  sweep.soon()
  log.info({ event: "started", url: server.url, isolation: firstFacts.isolation.level, version: VERSION }, "started")

  const started = starting.move()
  return {
    url: server.url,
    firstKey,
    notices: notices(config, firstFacts),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }

  /** Files that no row names: whatever a kill left between a rename and its transaction. Nothing else runs yet. */
  async function putFilesInOrder(): Promise<void> {
    const [documents, archives] = [await sweepDocuments(0), await uploads.sweepArchives()]
    const removed = { documents, archives, blobs: await files.sweepBlobs(now()) }
    log.debug({ event: "swept", ...removed }, "files that nothing names are gone")
  }
}
