"""Text from the drawing commands of a PDF page: operands first, then an operator."""

import re

# A string in brackets (with one level of brackets inside), a string of hexadecimal digits, a number, or a word: an
# operator or a name. The format allows strings of 32,767 bytes; the limit keeps hostile files from filling the memory.
TOKEN = re.compile(
    rb"\((?P<string>(?:[^()\\]|\\.|\((?:[^()\\]|\\.){0,2000}\)){0,32767})\)"
    rb"|<(?P<hex>[0-9A-Fa-f\s]*)>"
    rb"|(?P<number>[-+]?\d*\.?\d+)"
    rb"|(?P<word>/?[A-Za-z'\"][A-Za-z0-9*'\"]*)",
    re.DOTALL,
)
ESCAPE = re.compile(rb"\\([0-7]{1,3}|\r\n|.)", re.DOTALL)
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"", b"f": b"", b"\n": b"", b"\r": b"", b"\r\n": b""}

SHOW = {b"Tj", b"TJ", b"'", b'"'}
NEW_LINE = {b"Td", b"TD", b"T*", b"Tm", b"'", b'"', b"ET"}

# In an array of strings a number moves the pen back by thousandths of the letter size; this far forward is a blank.
BLANK = -180


def text_of_stream(content: bytes) -> str:
    """Text that the commands in `content` show, in their order; "" when there is none."""
    if b"BT" not in content:
        return ""
    shown = []
    operands = []
    for token in TOKEN.finditer(content):
        kind = token.lastgroup
        if kind == "string":
            operands.append(_decode(ESCAPE.sub(_unescape, token["string"])))
        elif kind == "hex":
            operands.append(_decode(_from_hexadecimal(token["hex"])))
        elif kind == "number":
            if float(token["number"]) < BLANK:
                operands.append(" ")
        else:
            word = token["word"]
            if word in NEW_LINE:
                shown.append("\n")
            if word in SHOW:
                shown.extend(operands)
            operands = []
    lines = (" ".join(line.split()) for line in "".join(shown).split("\n"))
    return "\n".join(line for line in lines if line)


def _unescape(escape: "re.Match[bytes]") -> bytes:
    code = escape[1]
    if code[:1].isdigit() and code[:1] < b"8":
        return bytes([int(code, 8) & 0xFF])
    return ESCAPED.get(code, code)


def _from_hexadecimal(digits: bytes) -> bytes:
    digits = b"".join(digits.split())
    return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))


def _decode(string: bytes) -> str:
    if string.startswith(b"\xfe\xff"):
        return string[2:].decode("utf-16-be", "replace")
    return string.decode("cp1252", "replace")
