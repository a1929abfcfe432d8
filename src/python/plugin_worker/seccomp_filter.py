"""The system call filter: classic BPF, built here from system_call_rules.py and loaded into every thread there is.

The numbers stand in a binary tree, since a list of 400 comparisons would cost every call. A program of some 700 instructions.
"""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from typing import Final

from plugin_worker.kernel import syscall, syscall_numbers
from plugin_worker.system_call_rules import (
    ALLOWED,
    ATTRIBUTES,
    NETWORK,
    PRETENDED,
    REFUSED,
    ByArgument,
    rules_by_argument,
)

_SET_MODE_FILTER: Final = 1
_FLAG_TSYNC: Final = 1

_ALLOW: Final = 0x7FFF_0000
_ERRNO: Final = 0x0005_0000
_KILL_PROCESS: Final = 0x8000_0000

_LOAD: Final = 0x20
_AND: Final = 0x54
_JUMP: Final = 0x05
_JUMP_EQUAL: Final = 0x15
_JUMP_GREATER_EQUAL: Final = 0x35
_RETURN: Final = 0x06

# struct seccomp_data
_NUMBER_AT: Final = 0
_ARCHITECTURE_AT: Final = 4
_ARGUMENTS_AT: Final = 16
_AUDIT_ARCHITECTURE: Final = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
# On x86-64, numbers with this bit are the x32 ABI: the same calls under other numbers.
_X32_BIT: Final = 0x4000_0000

# linux/bpf_common.h BPF_MAXINSNS
_MAX_INSTRUCTIONS: Final = 4096


@dataclass(slots=True)
class _Instruction:
    code: int
    value: int
    # Instructions to skip; for _JUMP `value` is that number.
    if_true: int = 0
    if_false: int = 0


def load_filter(*, truncation_is_confined: bool, sockets: str, shared_memory: bool = False) -> None:
    """Binds all threads of this process, for good; `sockets` is one of SOCKETS. Needs no_new_privs.

    Raises OSError or UnknownMachine.
    """
    numbers = syscall_numbers()
    rules = rules_by_argument(
        os.getpid(), truncation_is_confined=truncation_is_confined, sockets=sockets, shared_memory=shared_memory
    )
    program = build_filter(numbers, os.uname().machine, rules)
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    syscall("seccomp", numbers["seccomp"], _SET_MODE_FILTER, _FLAG_TSYNC, head)


def build_filter(numbers: dict[str, int], machine: str, rules: dict[str, ByArgument]) -> bytes:
    """The program as the kernel takes it: 8 bytes an instruction."""
    answers = _answers(numbers, rules)
    instructions = [
        _Instruction(_LOAD, _ARCHITECTURE_AT),
        _Instruction(_JUMP_EQUAL, _AUDIT_ARCHITECTURE[machine], 1, 0),
        _Instruction(_RETURN, _KILL_PROCESS),
        _Instruction(_LOAD, _NUMBER_AT),
        *_tree(_ranges(answers)),
    ]
    if len(instructions) > _MAX_INSTRUCTIONS:
        raise ValueError(f"a filter of {len(instructions)} instructions is over the kernel's limit")
    return b"".join(
        struct.pack("=HBBI", step.code, step.if_true, step.if_false, step.value) for step in instructions
    )


_Answer = int | ByArgument | None


def _answers(numbers: dict[str, int], rules: dict[str, ByArgument]) -> dict[int, _Answer]:
    """By number: None is allowed, 0 pretended, else an errno or a look at the arguments."""
    by_name: dict[str, _Answer] = dict.fromkeys(ALLOWED)
    for names, error in ((REFUSED, errno.EPERM), (NETWORK, errno.EACCES), (ATTRIBUTES, errno.EOPNOTSUPP), (PRETENDED, 0)):
        by_name.update(dict.fromkeys(names, error))
    by_name.update(rules)
    return {numbers[name]: answer for name, answer in by_name.items() if name in numbers}


def _ranges(answers: dict[int, _Answer]) -> list[tuple[int, _Answer]]:
    """(first number, answer) of each run of numbers with one answer, from 0 up to the largest number there is."""
    ranges: list[tuple[int, _Answer]] = []
    for number in range(min(max(answers) + 2, _X32_BIT)):
        answer = answers.get(number, errno.ENOSYS)
        if not ranges or isinstance(answer, ByArgument) or ranges[-1][1] != answer:
            ranges.append((number, answer))
    return ranges


def _tree(ranges: list[tuple[int, _Answer]]) -> list[_Instruction]:
    if len(ranges) == 1:
        answer = ranges[0][1]
        return _look(answer) if isinstance(answer, ByArgument) else [_answer(answer)]
    middle = len(ranges) // 2
    below, above = _tree(ranges[:middle]), _tree(ranges[middle:])
    # A conditional jump reaches 255 instructions, an unconditional one any number.
    return [
        _Instruction(_JUMP_GREATER_EQUAL, ranges[middle][0], 0, 1),
        _Instruction(_JUMP, len(below)),
        *below,
        *above,
    ]


def _look(rule: ByArgument) -> list[_Instruction]:
    steps: list[_Instruction] = []
    for when in rule.whens:
        steps.append(_Instruction(_LOAD, _ARGUMENTS_AT + 8 * when.argument + (4 if when.high else 0)))
        if when.mask != 0xFFFF_FFFF:
            steps.append(_Instruction(_AND, when.mask))
        for place, value in enumerate(when.values):
            # The answer follows the comparisons: a hit jumps to it (or over it), the last miss over it (or falls into it).
            left = len(when.values) - 1 - place
            hit = left + 1 if when.differs else left
            miss = 0 if left > 0 or when.differs else 1
            steps.append(_Instruction(_JUMP_EQUAL, value, hit, miss))
        steps.append(_answer(when.error))
    steps.append(_answer(rule.otherwise))
    return steps


def _answer(error: int | None) -> _Instruction:
    return _Instruction(_RETURN, _ALLOW if error is None else _ERRNO | error)
