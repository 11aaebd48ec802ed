"""Upcasters: functions that bring data of an older message version to the current version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any

import msgspec

from modd.checks import checked_count
from modd.core import Message
from modd.cqrs.wire import TYPE, VERSION
from modd.errors import InvalidOption, ModdError
from modd.texts import text_of

Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]
"""A function that takes the fields of one version, as they are on the wire, and returns the fields of the next."""


class InvalidUpcasters(ModdError, ValueError):
    """The upcasters of a type do not fit its version: an upcaster is missing, or there is one too many.

    name: the name on the wire.
    version: the version whose upcaster is missing or superfluous.
    reason: the fault and the way to mend it, as a text.
    """

    def __init__(self, name: str, version: int, reason: str) -> None:
        self.name, self.version = name, version
        super().__init__(f"{name}: {reason}")


class Upcasting:
    """The upcasters of a codec, by name on the wire.

    kinds: the current types, by name.
    upcasters: for a type, or for a former name, the upcasters from each older version to the next. A type without
        upcasters has the upcasters of its nearest base.

    Raises `InvalidOption`, `InvalidUpcasters`.
    """

    def __init__(self, kinds: Mapping[str, type[Message]], upcasters: Mapping[Any, Mapping[int, Upcaster]]) -> None:
        checked = _checked_upcasters(upcasters)
        for key in checked:
            _check_key(key, kinds)
        self._kinds = kinds
        self._chains = {key: _chain_of_name(key, steps) for key, steps in checked.items() if isinstance(key, str)}
        self._chains |= {name: _chain_of_type(name, kind, checked) for name, kind in kinds.items()}

    @property
    def versions(self) -> dict[str, range]:
        """The versions that can be read, by current and former name."""
        return {name: range(chain.oldest, chain.newest + 1) for name, chain in self._chains.items()}

    def limit_of(self, name: str, version: int) -> Exception | None:
        """Return the reason for which messages of this name and version cannot be read; None if they can."""
        if name not in self._chains:
            return KeyError(name)
        limit = self._chains[name].limit_of(version)
        return ValueError(limit) if limit else None

    def __contains__(self, name: object) -> bool:
        """Return True if messages of this name can be read."""
        return name in self._chains

    def upcast(self, name: str, version: int, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the current name of a message and its fields in the current version.

        Raises ``ValueError`` for an upcaster that fails, or that returns a message which cannot be read.
        """
        fields = self._chains[name].run(version, fields)
        if name not in self._kinds:
            name, version = self._read_new_name(name, fields)
            fields = self._chains[name].run(version, fields)
        if TYPE in fields or VERSION in fields:
            raise ValueError(
                f"an upcaster of {name} returned {TYPE} or {VERSION}, which only the last upcaster of an old name may"
            )
        return name, fields

    def _read_new_name(self, old: str, fields: dict[str, Any]) -> tuple[str, int]:
        """Take the new name and version, which the last upcaster of an old name has returned, out of the fields."""
        name, version = fields.pop(TYPE, None), fields.pop(VERSION, 1)
        if not (isinstance(name, str) and name in self._kinds and isinstance(version, int)):
            raise ValueError(
                f"the last upcaster of {old} has to return the name of a known type as {TYPE}, and its version as "
                f"{VERSION} unless it is 1"
            )
        return name, version


class UpcasterChain(msgspec.Struct, frozen=True):
    """The upcasters of one name, without a gap; data of the newest version needs none.

    name: the name, for errors. steps: the upcasters by version. oldest, newest: the versions that can be read.
    """

    name: str
    steps: Mapping[int, Upcaster]
    oldest: int
    newest: int

    def limit_of(self, version: int) -> str:
        """Return the reason for which data of a version cannot be read; empty if it can."""
        title = f"{self.name} of version {version}"
        if version > self.newest:
            return f"{title} is newer than {self.newest}, the newest known here; deploy consumers before producers"
        if version < self.oldest:
            cure = f"give the upcasters from version {version} on"
            return f"{title} is older than {self.oldest}, the oldest that can be read here; {cure}"
        return ""

    def run(self, version: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the fields in the newest version. Raises ``ValueError``."""
        limit = self.limit_of(version)
        if limit:
            raise ValueError(limit)
        while version in self.steps:
            fields = self._run_step(version, fields)
            version += 1
        return fields

    def _run_step(self, version: int, fields: dict[str, Any]) -> dict[str, Any]:
        step = f"the upcaster of {self.name} from version {version}"
        try:
            result = self.steps[version](fields)
        except Exception as error:
            raise ValueError(f"{step} raised {text_of(error)}") from error
        if not isinstance(result, Mapping):
            raise ValueError(f"{step} returned a value of type {type(result).__name__}, which is no mapping")
        return dict(result)


def version_of(kind: type[Message]) -> int:
    """Return the version of a message type. Raises `InvalidOption` for anything but a whole number, at least 1."""
    try:
        return checked_count("schema_version", kind.schema_version)
    except InvalidOption:
        raise InvalidOption(
            f"{kind.__qualname__}.schema_version",
            kind.schema_version,
            "give the class a whole number, at least 1: `schema_version: ClassVar[int] = 2`",
        ) from None


def _checked_upcasters(upcasters: Any) -> dict[Any, dict[int, Upcaster]]:
    if not isinstance(upcasters, Mapping) or not all(isinstance(steps, Mapping) for steps in upcasters.values()):
        raise InvalidOption("upcasters", upcasters, "give a mapping from types to mappings from versions to functions")
    return {key: checked_steps(steps) for key, steps in upcasters.items()}


def checked_steps(steps: Mapping[Any, Any]) -> dict[int, Upcaster]:
    """Return upcasters by version. Raises `InvalidOption`."""
    for version, step in steps.items():
        checked_count("upcasters", version)
        if not callable(step) or iscoroutinefunction(step):
            raise InvalidOption("upcasters", step, "give functions that take and return a dict, and are not async")
    return dict(steps)


def _check_key(key: Any, kinds: Mapping[str, type[Message]]) -> None:
    if isinstance(key, str):
        if key in kinds:
            raise InvalidOption("upcasters", key, "give the type: a text is for a former name, which no type has now")
    elif not (isinstance(key, type) and any(issubclass(kind, key) for kind in kinds.values())):
        raise InvalidOption("upcasters", key, "give them for types that the codec has, and for old names as texts")


def _chain_of_name(name: str, steps: Mapping[int, Upcaster]) -> UpcasterChain:
    if not steps:
        raise InvalidOption("upcasters", name, "give an old name at least one upcaster, to its new name")
    return UpcasterChain(name, _check_steps(name, steps, max(steps) + 1, "schema_version"), min(steps), max(steps))


def _chain_of_type(name: str, kind: type[Message], upcasters: Mapping[Any, Mapping[int, Upcaster]]) -> UpcasterChain:
    version = version_of(kind)
    steps = next((upcasters[base] for base in kind.__mro__ if base in upcasters), None)
    if steps is None and version > 1:
        raise InvalidUpcasters(
            name,
            version - 1,
            f"schema_version is {version}, and there are no upcasters; give Codec(upcasters={{{kind.__qualname__}: "
            f"{{{version - 1}: function}}}}), from the oldest version that is left, or {{}} if none is, and give that "
            "codec, which needs all types of the bus, to its Worker and Enqueue",
        )
    return chain_to(name, steps or {}, version)


def chain_to(name: str, steps: Mapping[int, Upcaster], version: int, option: str = "schema_version") -> UpcasterChain:
    """Return the chain of upcasters to a version. Raises `InvalidUpcasters`. option: sets the version, for errors."""
    steps = _check_steps(name, steps, version, option)
    return UpcasterChain(name, steps, min(steps, default=version), version)


def _check_steps(name: str, steps: Mapping[int, Upcaster], version: int, option: str) -> Mapping[int, Upcaster]:
    """Return the upcasters if they lead to this version without a gap. Raises `InvalidUpcasters`."""
    for beyond in sorted(steps):
        if beyond >= version:
            cure = f"set it to {beyond + 1}, or take the upcaster out"
            raise InvalidUpcasters(
                name, beyond, f"has an upcaster from version {beyond}, and {option} is {version}; {cure}"
            )
    for missing in range(min(steps, default=version), version):
        if missing not in steps:
            raise InvalidUpcasters(
                name,
                missing,
                f"no upcaster from version {missing} to {missing + 1}; give it, or take out those before it",
            )
    return steps
