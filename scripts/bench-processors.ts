import { readFileSync } from "node:fs"
import { join } from "node:path"

export const PROCESSORS = ["own", "noop", "cpu200us", "cpu2ms"] as const
export type ProcessorName = (typeof PROCESSORS)[number]

/** Python with a class `Processor`: DataFrame in, DataFrame out, the same text for us and for every peer. */
export function processorSource(name: ProcessorName, peersDir: string | null): string {
  if (name === "own") return readFileSync(join(peersDir ?? "", "processor.py"), "utf8")
  const seconds = { noop: 0, cpu200us: 0.0002, cpu2ms: 0.002 }[name]
  const vectors = name !== "noop"
  return `import time
import numpy as np
DIM = 384
LABELS = np.array(["news", "sport", "shop", "other"], dtype=object)
SECONDS = ${seconds}
VECTORS = ${vectors ? "True" : "False"}

def embed(texts):
    end = time.thread_time() + SECONDS * len(texts)
    lengths = np.fromiter(map(len, texts), np.float32, len(texts))
    vectors = (lengths[:, None] + np.arange(DIM, dtype=np.float32)) / 1000
    while time.thread_time() < end:
        pass
    return vectors

class Processor:
    def __call__(self, df):
        out = df[["id"]].copy() if "id" in df else df.iloc[:, :0].copy()
        if VECTORS:
            vectors = embed(df["text"].tolist())
            out["embedding"] = list(vectors)
            out["label"] = LABELS[vectors[:, :4].argmax(1)]
        else:
            out["label"] = LABELS[np.zeros(len(df), dtype=int)]
        return out
`
}
