import { expect, test } from "bun:test"
import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { create } from "tar"
import { pluginRoute } from "../deployments/support.ts"
import { startTestAppliance, type TestAppliance } from "../support/appliance.ts"
import { type PluginFiles, textPlugin, upload } from "../support/plugins.ts"
import { writeWheel } from "../workers/environments/wheel.ts"

/** A build backend that tries what no build may, and writes down in the module what came of it. */
const BACKEND = `import os, socket, subprocess, zipfile

def tried(work):
    try:
        work()
    except BaseException as error:
        return type(error).__name__
    return "done"

def build_wheel(directory, config_settings=None, metadata_directory=None):
    said = {
        "network": tried(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
        "program": tried(lambda: subprocess.run(["/bin/true"])),
        "passwords": tried(lambda: open("/etc/passwd").read()),
    }
    file = "sample_sourced-1.0-py3-none-any.whl"
    info = "sample_sourced-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(directory, file), "w") as wheel:
        wheel.writestr("sample_sourced.py", f"SAID = {said!r}\\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: sample_sourced\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", f"sample_sourced.py,,\\n{info}/METADATA,,\\n{info}/WHEEL,,\\n{info}/RECORD,,\\n")
    return file
`

/** The manifest says what the build wrote down: it is read where the requirements are. */
const files: PluginFiles = {
  ...textPlugin({ name: "sourced" }),
  "requirements.txt": "sample-sourced\n",
}
const manifest = `import sample_sourced\n${files["manifest.py"]}`.replace(
  '"A test extractor"',
  '" ".join(f"{name}={what}" for name, what in sample_sourced.SAID.items())',
)

async function withSource(environment: Record<string, string>): Promise<TestAppliance> {
  const appliance = await startTestAppliance({ ownEnvironments: true, environment })
  const store = join(appliance.dataDir, "wheels")
  await mkdir(store, { recursive: true })
  await writeWheel(store, { name: "sample_backend", source: BACKEND })
  const top = join(appliance.dataDir, "sample_sourced-1.0")
  await mkdir(top)
  const system = '[build-system]\nrequires = ["sample-backend"]\nbuild-backend = "sample_backend"\n'
  await Bun.write(join(top, "pyproject.toml"), system)
  await create({ gzip: true, cwd: appliance.dataDir, file: join(store, "sample_sourced-1.0.tar.gz") }, [
    "sample_sourced-1.0",
  ])
  return appliance
}

test("a source distribution is no wheel: without the setting it is refused, and said to be one", async () => {
  await using appliance = await withSource({})
  const answer = await upload(appliance, { ...files, "manifest.py": manifest }, { name: "sourced" })
  expect(answer.status).toBe(400)
  expect(answer.body.error.details.missing_wheels).toEqual([
    expect.objectContaining({
      name: "sample-sourced",
      found: ["sample_sourced-1.0.tar.gz is a source distribution"],
    }),
  ])
})

test("with the setting it is built, where it reaches no network, starts no program and reads nothing of the machine", async () => {
  await using appliance = await withSource({ MIXPEEK_SOURCE_BUILDS: "1" })
  const answer = await upload(appliance, { ...files, "manifest.py": manifest }, { name: "sourced" })
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 200 })
  const { body } = await appliance.call("GET", pluginRoute(appliance, "sourced_1_0_0"))
  expect(body.plugin.environment.packages).toEqual([
    expect.objectContaining({ name: "sample-sourced", version: "1.0", file: "sample_sourced-1.0-py3-none-any.whl" }),
  ])
  expect(body.plugin.description).toMatch(
    /^network=(PermissionError|OSError) program=PermissionError passwords=PermissionError$/,
  )
})
