/**
 * Shared libraries that must lie on disk beside each other: name → path of the embedded file. Empty in development, where
 * the packages find their own; `scripts/build.ts` replaces this module with the target platform's files.
 */
export const nativeFiles: Readonly<Record<string, string>> = {}

/** What the build says of itself; `scripts/build.ts` replaces this as well. */
export const buildTarget: string = "development"
