/**
 * argv to one command. Everything beyond the version is imported on demand: `--version` answers without loading a
 * parser, a database or a library.
 */
import { NAME, VERSION } from "./version.ts"

const [first, ...rest] = process.argv.slice(2)

if (process.argv.length === 3 && (first === "--version" || first === "-V")) {
  console.log(`${NAME} ${VERSION}`)
} else if (first === "documents-process") {
  // Not for people: the appliance starts it, and says where its files and the native libraries lie.
  const { ownCommand, useNativeLibraries } = await import("./runtime.ts")
  const { becomeConfined } = await import("./documents/confine.ts")
  const nativeDirectory = await becomeConfined(ownCommand(), rest)
  useNativeLibraries(nativeDirectory)
  const { runDocumentsProcess } = await import("./documents/child.ts")
  await runDocumentsProcess()
} else if (first === "scan-process") {
  const { runScanProcess } = await import("./plugins/scan-child.ts")
  await runScanProcess()
} else {
  const { runCommandLine } = await import("./cli/program.ts")
  process.exitCode = await runCommandLine(process.argv.slice(2))
}
