"""Prints the documentation strings of Python's standard library, one JSON object per line.

Real text for the quick start and the benchmarks that every machine with Python 3.10 or newer already holds: nothing
is downloaded, and nothing is imported, because the source files are only parsed. A line reads

    {"text": "...", "name": "json.decoder.JSONDecoder.decode", "kind": "function", "module": "json.decoder"}

with `kind` one of module, class, function. The order is that of the sorted file paths, so two runs of one Python
version print the same bytes. Names are unique.
"""

import argparse
import ast
import json
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

# Tests and demonstrations document themselves, not the library; the package folders hold other people's code.
SKIPPED_DIRECTORIES = frozenset(
    {"test", "tests", "idle_test", "idlelib", "turtledemo", "site-packages", "dist-packages", "_bundled", "__pycache__"}
)

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Print the standard library's documentation strings as JSON lines.")
    parser.add_argument("--limit", type=_positive, metavar="N", help="stop after N lines (default: all)")
    parser.add_argument(
        "--repeat",
        type=_positive,
        default=1,
        metavar="N",
        help="print every text N times, each time a little different",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of standard output")
    options = parser.parse_args(arguments)

    destination = options.output.open("w", encoding="utf-8") if options.output else nullcontext(sys.stdout)
    with destination as stream:
        for text in islice(repeated(options.repeat), options.limit):
            # ASCII with escapes, so that the bytes do not depend on the terminal's encoding.
            stream.write(json.dumps(text) + "\n")
    return 0


def repeated(times: int) -> Iterator[dict[str, Any]]:
    """All texts, then all again as variants 2 to `times`: new names and new texts, as new data would have."""
    texts = []
    for text in standard_library_texts():
        texts.append(text)  # kept, because parsing the library takes two seconds
        yield text
    for variant in range(2, times + 1):
        for text in texts:
            beginning = f"Variant {variant} of {text['name']}."
            yield {**text, "text": f"{beginning} {text['text']}", "name": f"{text['name']}#{variant}"}


def standard_library_texts() -> Iterator[dict[str, Any]]:
    """One object per module, class and function that has a documentation string."""
    root = Path(sysconfig.get_path("stdlib"))
    seen: set[str] = set()
    for path in sorted(_source_files(root)):
        module = _module_name(path.relative_to(root))
        for name, kind, text in _documentation(path, module):
            # A name defined twice (a property and its setter, two branches of an `if`) counts once.
            if name not in seen:
                seen.add(name)
                yield {"text": text, "name": name, "kind": kind, "module": module}


def _source_files(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if entry.is_dir():
            if entry.name not in SKIPPED_DIRECTORIES and not entry.is_symlink():
                yield from _source_files(entry)
        elif entry.suffix == ".py":
            yield entry


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _documentation(path: Path, module: str) -> Iterator[tuple[str, str, str]]:
    try:
        with warnings.catch_warnings():
            # Old library files hold escapes that newer versions warn of; that is not the reader's matter.
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return  # a template or an unreadable file: it has no documentation to offer
    yield from _walk(tree, module)


def _walk(node: Documented, name: str) -> Iterator[tuple[str, str, str]]:
    text = (ast.get_docstring(node) or "").strip()
    if text:
        yield name, _kind(node), text
    for child in _definitions(node):
        yield from _walk(child, f"{name}.{child.name}")


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """The definitions directly in `node`, also those under an `if` or `try`, in the order of the file."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        elif isinstance(child, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            yield from _definitions(child)


def _kind(node: Documented) -> str:
    if isinstance(node, ast.Module):
        return "module"
    return "class" if isinstance(node, ast.ClassDef) else "function"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        # `| head` closed the pipe: close ours too, or Python reports the same error again while it ends.
        sys.stderr.close()
