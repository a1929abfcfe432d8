/** Handing descriptors to another process, for which Bun has no function: socketpair(2) and sendmsg(2) by ffi. Linux only. */
import { dlopen, ptr } from "bun:ffi"

const AF_UNIX = 1
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
/** struct cmsghdr without its data, on 64-bit Linux. */
const CONTROL_HEAD = 16
const DESCRIPTOR = 4

let opened: ReturnType<typeof open> | undefined

function open() {
  return dlopen("libc.so.6", {
    socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
    sendmsg: { args: ["i32", "ptr", "i32"], returns: "i64" },
  }).symbols
}

function libc(): ReturnType<typeof open> {
  opened ??= open()
  return opened
}

/** Two ends of a stream; neither is inherited by what is spawned later. @throws Error when there are no descriptors left */
export function socketPair(): { readonly own: number; readonly theirs: number } {
  const pair = new Int32Array(2)
  if (libc().socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, ptr(pair)) !== 0) throw new Error("socketpair failed")
  const [own = -1, theirs = -1] = pair
  return { own, theirs }
}

/** Sends `bytes`, whole, and copies of `descriptors` with them. @throws Error when the other end is gone or takes no more */
export function sendDescriptors(socket: number, bytes: Uint8Array, descriptors: readonly number[]): void {
  const vector = new BigUint64Array([BigInt(ptr(bytes)), BigInt(bytes.byteLength)])
  const data = descriptors.length * DESCRIPTOR
  const control = Buffer.alloc(CONTROL_HEAD + Math.ceil(data / 8) * 8)
  control.writeBigUInt64LE(BigInt(CONTROL_HEAD + data), 0)
  control.writeInt32LE(SOL_SOCKET, 8)
  control.writeInt32LE(SCM_RIGHTS, 12)
  for (const [index, descriptor] of descriptors.entries()) {
    control.writeInt32LE(descriptor, CONTROL_HEAD + index * DESCRIPTOR)
  }
  // struct msghdr: name, its length, vectors, how many, control, its length, flags.
  const message = new BigUint64Array([
    0n,
    0n,
    BigInt(ptr(vector)),
    1n,
    BigInt(ptr(control)),
    BigInt(control.byteLength),
    0n,
  ])
  const sent = Number(libc().sendmsg(socket, ptr(message), 0))
  if (sent !== bytes.byteLength) throw new Error(`sendmsg sent ${sent} of ${bytes.byteLength} bytes`)
}
