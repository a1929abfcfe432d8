/** One plugin per library: published, run over a few rows, its own word compared; a table at the end. */
import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { commandLine, SHARED_DATA, startTestAppliance, type TestAppliance } from "../test/support/appliance.ts"
import { waitForBatch } from "../test/support/batch.ts"
import { textPlugin, upload } from "../test/support/plugins.ts"

interface Library {
  /** As pip knows it, and more that its use needs. */
  readonly requirements: readonly string[]
  /** Body of a function that returns its version; anything that goes wrong raises. */
  readonly use: string
  readonly heavy?: true
}

const PNG = `image = Image.new("RGB", (32, 24), (200, 30, 30))
buffer = io.BytesIO()
image.save(buffer, "PNG")`
const WAV = `tone = np.sin(np.linspace(0, 440 * 2 * np.pi, 22050)).astype("float32")
buffer = io.BytesIO()
soundfile.write(buffer, tone, 22050, format="WAV")
buffer.seek(0)`
/** Outside services are for steps of resource type API; here the library works as far as a network that is refused. */
const REFUSED = (call: string, errors: string) => `try:
    ${call}
except (${errors}) as error:
    assert error is not None
else:
    raise AssertionError("the network was reached")`

const LIBRARIES: Readonly<Record<string, Library>> = {
  numpy: {
    requirements: ["numpy"],
    use: `import numpy
assert numpy.allclose(numpy.linalg.inv(numpy.eye(200) * 2), numpy.eye(200) / 2)
return numpy.__version__`,
  },
  pandas: {
    requirements: ["pandas"],
    use: `import pandas
assert pandas.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]}).groupby("a").b.sum().tolist() == [3, 3]
return pandas.__version__`,
  },
  polars: {
    requirements: ["polars"],
    use: `import polars
frame = polars.DataFrame({"a": list(range(100_000))}).lazy().filter(polars.col("a") % 2 == 0).collect()
assert frame.height == 50_000
return polars.__version__`,
  },
  pyarrow: {
    requirements: ["pyarrow"],
    use: `import io, pyarrow, pyarrow.parquet, pyarrow.compute
buffer = io.BytesIO()
pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2, 3]}), buffer)
assert pyarrow.compute.sum(pyarrow.parquet.read_table(buffer)["a"]).as_py() == 6
return pyarrow.__version__`,
  },
  onnxruntime: {
    requirements: ["onnxruntime"],
    use: `import numpy as np, onnxruntime
from onnxruntime.datasets import get_example
session = onnxruntime.InferenceSession(get_example("sigmoid.onnx"), providers=["CPUExecutionProvider"])
given = np.random.rand(3, 4, 5).astype(np.float32)
answer = session.run(None, {session.get_inputs()[0].name: given})[0]
assert np.allclose(answer, 1 / (1 + np.exp(-given)), atol=1e-5)
return onnxruntime.__version__`,
  },
  safetensors: {
    requirements: ["safetensors"],
    use: `import numpy as np, safetensors
from safetensors.numpy import load, save
assert load(save({"a": np.arange(10)}))["a"].sum() == 45
return safetensors.__version__`,
  },
  pillow: {
    requirements: ["pillow"],
    use: `import io, PIL
from PIL import Image
${PNG}
assert Image.open(io.BytesIO(buffer.getvalue())).resize((8, 8)).getpixel((1, 1)) == (200, 30, 30)
return PIL.__version__`,
  },
  "opencv-python-headless": {
    requirements: ["opencv-python-headless"],
    use: `import cv2, numpy as np
image = np.full((24, 32, 3), 90, dtype=np.uint8)
ok, png = cv2.imencode(".png", image)
assert ok and cv2.imdecode(png, cv2.IMREAD_COLOR).shape == (24, 32, 3)
return cv2.__version__`,
  },
  imageio: {
    requirements: ["imageio"],
    use: `import imageio, imageio.v3, numpy as np
data = imageio.v3.imwrite("<bytes>", np.full((8, 8, 3), 7, dtype=np.uint8), extension=".png")
assert imageio.v3.imread(data).shape == (8, 8, 3)
return imageio.__version__`,
  },
  librosa: {
    requirements: ["librosa"],
    use: `import librosa, numpy as np
tone = np.sin(np.linspace(0, 440 * 2 * np.pi, 22050)).astype("float32")
assert librosa.feature.mfcc(y=tone, sr=22050, n_mfcc=13).shape[0] == 13
return librosa.__version__`,
  },
  soundfile: {
    requirements: ["soundfile"],
    use: `import io, numpy as np, soundfile
${WAV}
samples, rate = soundfile.read(buffer)
assert rate == 22050 and len(samples) == 22050
return soundfile.__version__`,
  },
  requests: {
    requirements: ["requests"],
    use: `import requests
${REFUSED('requests.get("http://192.0.2.1/", timeout=2)', "requests.exceptions.RequestException, OSError")}
return requests.__version__`,
  },
  httpx: {
    requirements: ["httpx"],
    use: `import httpx
${REFUSED('httpx.get("http://192.0.2.1/", timeout=2)', "httpx.HTTPError, OSError")}
return httpx.__version__`,
  },
  aiohttp: {
    requirements: ["aiohttp"],
    use: `import aiohttp, asyncio
async def ask():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        await session.get("http://192.0.2.1/")
${REFUSED("asyncio.run(ask())", "aiohttp.ClientError, OSError, asyncio.TimeoutError")}
return aiohttp.__version__`,
  },
  pydantic: {
    requirements: ["pydantic"],
    use: `import pydantic
class Row(pydantic.BaseModel):
    a: int
assert Row.model_validate({"a": "3"}).a == 3
return pydantic.VERSION`,
  },
  av: {
    requirements: ["av"],
    use: `import io, av, numpy as np
buffer = io.BytesIO()
with av.open(buffer, "w", format="mp4") as container:
    stream = container.add_stream("mpeg4", rate=10)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for index in range(10):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index * 20, dtype=np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
buffer.seek(0)
with av.open(buffer) as container:
    assert sum(1 for _ in container.decode(video=0)) == 10
return av.__version__`,
  },
  pypdfium2: {
    requirements: ["pypdfium2"],
    use: `import pypdfium2
document = pypdfium2.PdfDocument.new()
document.new_page(200, 100)
assert document[0].get_size() == (200, 100) and document[0].get_textpage().count_chars() == 0
assert document[0].render(scale=1).to_numpy().shape[:2] == (100, 200)
return str(pypdfium2.PYPDFIUM_INFO)`,
  },
  // The lower ends of what the workers themselves need (workers/environments/resolution.ts), in place of the base's own.
  oldest_base: {
    requirements: ["numpy==1.24.4", "pandas==2.0.3", "pyarrow==14.0.2", "pydantic==2.5.3", "orjson==3.9.15"],
    use: `import numpy, orjson, pandas, pyarrow, pydantic
found = [numpy.__version__, pandas.__version__, pyarrow.__version__, pydantic.VERSION, orjson.__version__]
assert found == ["1.24.4", "2.0.3", "14.0.2", "2.5.3", "3.9.15"], found
return " ".join(found)`,
  },
  // Of one plugin, beside all the others that have the base's.
  numpy_before_2: {
    requirements: ["numpy<2"],
    use: `import numpy, pandas
assert numpy.__version__.startswith("1.") and pandas.Series([1, 2]).sum() == 3
return numpy.__version__`,
  },
  torch: {
    requirements: ["torch"],
    heavy: true,
    use: `import torch
layer = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2))
answer = layer(torch.rand(1000, 64))
answer.sum().backward()
assert answer.shape == (1000, 2) and layer[0].weight.grad is not None
return torch.__version__`,
  },
  transformers: {
    requirements: ["transformers", "torch"],
    heavy: true,
    use: `import torch, transformers
config = transformers.BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, vocab_size=100)
answer = transformers.BertModel(config)(torch.randint(0, 100, (2, 7)))
assert answer.last_hidden_state.shape == (2, 7, 32)
return transformers.__version__`,
  },
  sentence_transformers: {
    requirements: ["sentence-transformers"],
    heavy: true,
    use: `import sentence_transformers, torch
from sentence_transformers import util
assert abs(float(util.cos_sim(torch.ones(1, 8), torch.ones(1, 8))) - 1) < 1e-5
return sentence_transformers.__version__`,
  },
}

const words = process.argv.slice(2)
const named = words.filter((word) => !word.startsWith("--"))
const chosen = Object.entries(LIBRARIES).filter(([name, { heavy }]) =>
  named.length > 0 ? named.includes(name) : heavy !== true || words.includes("--heavy"),
)

const wheels = resolve("dist/libraries-wheels")
mkdirSync(wheels, { recursive: true })
const target = join(wheels, "target.json")
await Bun.write(target, await command("doctor", "--target", "--data", SHARED_DATA))
for (const [, { requirements }] of chosen) {
  await command("wheels", "download", ...requirements, "--for", target, "--to", wheels, "--data", SHARED_DATA)
}

await using appliance = await startTestAppliance({
  ownEnvironments: true,
  environment: { MIXPEEK_WORKER_MEMORY_MB: "8192" },
  arguments: ["--log-level", "error"],
})
await command("wheels", "add", wheels, "--data", appliance.dataDir)
let failed = 0
for (const [name, library] of chosen) {
  const started = performance.now()
  const said = await tried(appliance, name, library).catch((error: Error) => `FAILED: ${error.message.slice(0, 1500)}`)
  if (!said.startsWith("works")) failed++
  console.log(`| ${name} | ${said} | ${((performance.now() - started) / 1000).toFixed(1)} s |`)
}
const note = await noteOfFfmpeg(appliance)
console.log(`| ffmpeg-python | ${note} | |`)
if (failed > 0 || !note.includes("may not start")) process.exitCode = 1

async function tried(at: TestAppliance, library: string, { requirements, use }: Library): Promise<string> {
  const name = `uses_${library.replaceAll("-", "_")}`
  const call = `def use():\n${use
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n")}
batch["${name}_embedding"] = [[1.0] * 4] * len(batch)
batch["label"] = [use() for _ in batch["text"]]
return batch`
  const files = textPlugin({ name, call, manifestExtra: `dependencies = ${JSON.stringify(requirements)}` })
  const answer = await upload(at, files, { name })
  if (answer.status !== 200) throw new Error(answer.body?.validation_errors?.join("; ") ?? answer.text)
  const bucket = await at.call("POST", "/v1/buckets", {
    body: { bucket_name: name, bucket_schema: { properties: { text: { type: "text" } } } },
  })
  const objects = ["a", "b"].map((data) => ({ blobs: [{ property: "text", type: "text", data }] }))
  await at.call("POST", `/v1/buckets/${bucket.body.bucket_id}/objects/batch`, { body: { objects } })
  const collection = await at.call("POST", "/v1/collections", {
    body: {
      collection_name: name,
      source: { type: "bucket", bucket_ids: [bucket.body.bucket_id] },
      feature_extractor: { feature_extractor_name: name, version: "1.0.0" },
    },
  })
  const batch = await at.call("POST", `/v1/buckets/${bucket.body.bucket_id}/batches/trigger`, { body: {} })
  const done = await waitForBatch(at, bucket.body.bucket_id, batch.body.batch_id, 300_000)
  if (done.status !== "COMPLETED") throw new Error(JSON.stringify(done.errors ?? done).slice(0, 1200))
  const list = await at.call("POST", `/v1/collections/${collection.body.collection_id}/documents/list`, { body: {} })
  const { environment } = (await at.call("GET", `/v1/namespaces/${at.namespaceId}/plugins/${name}_1_0_0`)).body.plugin
  return `works (${list.body.results[0].label}), ${environment.packages.length} packages beyond the base`
}

async function noteOfFfmpeg(at: TestAppliance): Promise<string> {
  const files = textPlugin({ name: "uses_ffmpeg", call: "import ffmpeg\nreturn batch" })
  const answer = await upload(at, files, { name: "uses_ffmpeg" })
  return answer.body.notes?.map(({ message }: { message: string }) => message).join("; ") ?? answer.text
}

async function command(...words: string[]): Promise<string> {
  const child = Bun.spawn([...commandLine(), ...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`mixpeek ${words.join(" ")} failed:\n${out}${errors}`)
  return out
}
