/** Seeded mutations of Python sources: tokens deleted, doubled, swapped, replaced; indentation changed; files spliced. */

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const TOKEN = /[\p{L}_][\p{L}\p{N}_]*|\d[\w.]*|"""|'''|[-+*/<>=!:]=|->|\*\*|\/\/|\.\.\.|\n[ \t]*|[^\s\w]|[ \t]+/gu
/** What mistakes and tricks are made of. */
const SPARE = [
  ..."( ) [ ] { } , : ; . = == := * ** / @ -> ! ... + - ~ | $ ? ` \\ _ 0 1_ 0x 07 1j".split(" "),
  ..."await async yield return break continue global nonlocal del lambda not in is if else for while with as".split(
    " ",
  ),
  ..."import from try except except* finally class def pass raise assert None True match case type print __debug__".split(
    " ",
  ),
  ...[
    '"',
    "'",
    '"""',
    "f'",
    "f'{x}'",
    "b'é'",
    "'\\x'",
    "é",
    "\u00a0",
    "\u200b",
    "\f",
    "\t",
    "\0",
    "x",
    "x=1",
    "*x",
    "**x",
  ],
  ..."yield from|await x|x := 1|async for x in y|for x in y|nonlocal x|global x|lambda: x|from __future__ import annotations".split(
    "|",
  ),
]

export function mutate(source: string, other: string, random: () => number): string {
  const piece = excerpt(source, random)
  let mutant = piece
  for (let left = 1 + Math.floor(random() * 2); left > 0; left--) mutant = mutateOnce(mutant, other, random)
  return mutant
}

/** Whole top-level statements, up to some 60 lines: what is wrong far behind the first mistake cannot be compared. */
function excerpt(source: string, random: () => number): string {
  const lines = source.split("\n")
  const starts = lines.flatMap((line, index) =>
    /^(?:async |def |class |@|import |from |if |for |try:)/.test(line) ? [index] : [],
  )
  const from = pick(starts, random) ?? 0
  const end = starts.find((index) => index > from + 20) ?? lines.length
  return `${lines.slice(from, Math.min(end, from + 60)).join("\n")}\n`
}

function mutateOnce(source: string, other: string, random: () => number): string {
  const tokens = [...source.matchAll(TOKEN)].map((match) => ({ at: match.index, text: match[0] }))
  const token = pick(tokens, random)
  if (token === undefined) return source + (pick(SPARE, random) ?? "")
  const { at, text } = token
  const before = source.slice(0, at)
  const after = source.slice(at + text.length)
  switch (Math.floor(random() * 8)) {
    case 0:
      return before + after
    case 1:
      return before + text + text + after
    case 2: {
      const second = pick(tokens, random) ?? token
      const [left, right] = second.at < at ? [second, token] : [token, second]
      const between = source.slice(left.at + left.text.length, right.at)
      if (left === right) return source
      return source.slice(0, left.at) + right.text + between + left.text + source.slice(right.at + right.text.length)
    }
    case 3:
      return `${before}${pick(SPARE, random)} ${after}`
    case 4:
      return `${before} ${pick(SPARE, random)} ${text}${after}`
    case 5:
      return before + (pick(tokens, random)?.text ?? "") + after
    case 6:
      return changeIndentation(source, random)
    default:
      return splice(source, other, random)
  }
}

function changeIndentation(source: string, random: () => number): string {
  const lines = source.split("\n")
  const index = Math.floor(random() * lines.length)
  const line = lines[index] ?? ""
  const changes = [
    ` ${line}`,
    line.slice(1),
    `\t${line}`,
    `    ${line}`,
    line.replace(/^ {4}/, ""),
    line.replace(/^ {8}/, "\t"),
  ]
  lines[index] = pick(changes, random) ?? line
  return lines.join("\n")
}

/** A run of lines of another file, or a part of one, in the middle of this one. */
function splice(source: string, other: string, random: () => number): string {
  const lines = other.split("\n")
  const from = Math.floor(random() * lines.length)
  const piece = lines.slice(from, from + 1 + Math.floor(random() * 4)).join("\n")
  const at = Math.floor(random() * source.length)
  const lineAt = source.lastIndexOf("\n", at) + 1
  return random() < 0.5
    ? `${source.slice(0, lineAt)}${piece}\n${source.slice(lineAt)}`
    : source.slice(0, at) + piece.trim() + source.slice(at)
}

function pick<T>(from: readonly T[], random: () => number): T | undefined {
  return from[Math.floor(random() * from.length)]
}
