"""The calls that a pure function must not make, as tables: the clock, chance, ids, the environment, files, sockets.

A call of a function that is written in C is told by the function and the object that it is bound to, one of a function
that is written in Python by its module and its qualified name.
"""

from __future__ import annotations

import dis
import gc
import os
import random
import sys
from collections.abc import Callable
from datetime import date
from io import BytesIO, FileIO, StringIO
from types import CodeType, FrameType, ModuleType
from typing import Any

EVERY = frozenset[str]()
"""Stands for all functions of a module."""


C_FUNCTIONS: dict[str, frozenset[str]] = {
    "_io": frozenset({"open", "open_code"}),
    "_posixsubprocess": EVERY,
    "_socket": EVERY,
    "_sqlite3": EVERY,
    "_thread": frozenset({"start_joinable_thread", "start_new_thread"}),
    "_uuid": EVERY,
    "builtins": frozenset({"input", "open", "print"}),
    "fcntl": EVERY,
    "io": frozenset({"open", "open_code"}),
    "mmap": EVERY,
    "nt": EVERY,
    "posix": EVERY,
    "select": EVERY,
    "sqlite3": EVERY,
    "termios": EVERY,
    "time": frozenset(
        {
            "clock_getres",
            "clock_gettime",
            "clock_gettime_ns",
            "ctime",
            "localtime",
            "monotonic",
            "monotonic_ns",
            "perf_counter",
            "perf_counter_ns",
            "process_time",
            "process_time_ns",
            "sleep",
            "thread_time",
            "thread_time_ns",
            "time",
            "time_ns",
        }
    ),
}
"""The impure functions of modules that are written in C."""


PURE = frozenset(
    {
        *("fspath", "major", "makedev", "minor", "strerror", "waitstatus_to_exitcode"),
        *("htonl", "htons", "inet_aton", "inet_ntoa", "inet_ntop", "inet_pton", "ntohl", "ntohs"),
        *("_path_isabs", "_path_normpath", "_path_splitroot", "_path_splitroot_ex"),
    }
)
"""The functions of the operating system and of sockets that only work on their arguments."""


CLOCK_WITHOUT = {"asctime": 1, "gmtime": 1, "strftime": 2}
"""Functions of `time` that read the clock if they get fewer arguments than this."""


ZONE_WITHOUT = {"astimezone": 1, "fromtimestamp": 2}
"""Methods of `datetime.datetime` that take the time zone of the environment if they get fewer arguments than this."""


PYTHON_FUNCTIONS: dict[str, dict[str, str]] = {
    "secrets": {name: f"secrets.{name}" for name in ("randbelow", "token_bytes", "token_hex", "token_urlsafe")},
    "socket": {"socket.__init__": "socket.socket"},
    "threading": {"Thread.start": "threading.Thread.start"},
    "subprocess": {"Popen.__init__": "subprocess.Popen"},
    "uuid": {name: f"uuid.{name}" for name in ("getnode", "uuid1", "uuid4", "uuid6", "uuid7")},
}
"""The impure functions of modules that are written in Python, by qualified name, each with its name in errors."""


PUBLIC_NAMES = {
    "_io": "",
    "_socket": "socket",
    "_sqlite3": "sqlite3",
    "builtins": "",
    "io": "",
    "nt": "os",
    "posix": "os",
}
"""The names of modules in errors, where they differ; an empty one is left out."""


OUTSIDE = frozenset({"_io", "_socket", "_ssl", "mmap", "select", "sqlite3", "ssl"})
"""The modules of types whose objects are connected with the world, such as files and sockets."""


HIDDEN = getattr(random.random, "__self__", None)
"""The instance that the functions of `random` share."""


LIBRARY = (os.path.join(os.path.dirname(os.__file__), ""), "<frozen ")
"""The beginnings of the file names of the standard library."""


DEBUGGERS = frozenset({"bdb", "pdb"})


IMPORT = "<frozen importlib._bootstrap>"
"""The file name in the code of the import system."""


def find_impure_c_call(function: Any, owner: Any, arguments: Callable[[], int | None]) -> str | None:
    """Return the name of an impure call of something that is written in C; None for a pure one.

    function: a builtin function, a method or a type. owner: the object that it is bound to, a module for a function.
    arguments: returns the number of arguments, or None if it is not known.
    """
    if isinstance(function, type):
        return "io.FileIO" if function is FileIO else None
    name: str = function.__name__
    if isinstance(owner, ModuleType):
        return _find_in_module(owner.__name__, name, arguments)
    if isinstance(owner, date) or (isinstance(owner, type) and issubclass(owner, date)):
        return _find_in_datetime(owner if isinstance(owner, type) else type(owner), name, arguments)
    if owner is HIDDEN:
        return f"random.{name}"
    return f"{type(owner).__qualname__}.{name}" if _is_outside(owner) else None


def _find_in_module(module: str, name: str, arguments: Callable[[], int | None]) -> str | None:
    functions = C_FUNCTIONS.get(module)
    if functions is None or name in PURE:
        return None
    if functions is EVERY or name in functions or (module == "time" and _reads_clock(name, arguments)):
        return ".".join(filter(None, [PUBLIC_NAMES.get(module, module), name]))
    return None


def _find_in_datetime(kind: type, name: str, arguments: Callable[[], int | None]) -> str | None:
    """Return the name of a method that reads the clock, or the time zone of the environment."""
    if name in ZONE_WITHOUT:
        number = arguments()
        is_impure = number is not None and number < ZONE_WITHOUT[name]
    else:
        is_impure = name in ("now", "today", "utcnow")
    return f"{kind.__module__}.{kind.__qualname__}.{name}" if is_impure else None


def _reads_clock(name: str, arguments: Callable[[], int | None]) -> bool:
    if name not in CLOCK_WITHOUT:
        return False
    number = arguments()
    return number is not None and number < CLOCK_WITHOUT[name]


def _is_outside(owner: Any) -> bool:
    """Return True for an object that is connected with the world: a file, a socket, a standard stream."""
    if isinstance(owner, (StringIO, BytesIO)):
        return any(owner is stream for stream in (sys.stdin, sys.stdout, sys.stderr))
    return any(kind.__module__ in OUTSIDE for kind in type(owner).__mro__)


def find_impure_start(frame: FrameType) -> str | None:
    """Return the name of an impure call of a function that is written in Python, by the frame in which it begins."""
    module, name = frame.f_globals.get("__name__"), frame.f_code.co_qualname
    if module == "os":
        return "os.environ" if name.startswith("_Environ.") else None
    if module == "random":
        return _find_chance(frame, name)
    return PYTHON_FUNCTIONS.get(module, {}).get(name) if isinstance(module, str) else None


def _find_chance(frame: FrameType, name: str) -> str | None:
    """Return the name of a function of `random` that uses the shared instance, or a seed from the system."""
    values = frame.f_locals
    if "self" in values and values["self"] is HIDDEN:
        return f"random.{frame.f_code.co_name}"
    return "random.Random" if name == "Random.seed" and values.get("a") is None else None


def count_arguments(code: CodeType, offset: int) -> int | None:
    """Return the number of arguments of the call at an instruction; None if the instruction does not tell."""
    operation = dis.opname[code.co_code[offset]]
    return code.co_code[offset + 1] if operation in ("CALL", "CALL_KW", "PRECALL") else None


def find_place(caller: FrameType, guard: CodeType) -> str:
    """Return file and line of an impure call: that of the standard library is told by the line that called it."""
    frame, around = caller, caller.f_back
    while _is_of_library(frame.f_code.co_filename) and around is not None and around.f_code is not guard:
        frame, around = around, around.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}"


def _is_of_library(file: str) -> bool:
    return file.startswith(LIBRARY) and "site-packages" not in file and "dist-packages" not in file


def is_left_out(caller: FrameType | None, guard: CodeType) -> bool:
    """Return True for a call that is not one of the guarded function.

    It comes from an import, from a finalizer or a callback of the garbage collector, which run at any moment, from a
    debugger, or from outside of the guard.

    caller: the frame that makes the call. guard: the code that runs the guarded function.
    """
    while caller is not None and caller.f_code is not guard:
        if _is_foreign(caller):
            return True
        caller = caller.f_back
    return caller is None


def _is_foreign(frame: FrameType) -> bool:
    code = frame.f_code
    return (
        code.co_filename == IMPORT
        or code.co_name == "__del__"
        or frame.f_globals.get("__name__") in DEBUGGERS
        or any(getattr(each, "__code__", None) is code for each in gc.callbacks)
    )
