"""Upcasters: how data of an older version of a message becomes data of the version that there is now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any

import msgspec

from modd.checks import checked_count
from modd.core import Message
from modd.cqrs.errors import text_of
from modd.cqrs.wire import TYPE, VERSION
from modd.errors import InvalidOption, ModdError

Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Takes the fields of one version, as they were on the wire, and gives those of the next."""


class InvalidUpcasters(ModdError, ValueError):
    """The upcasters of a type do not fit its version: one is missing, or there is one too many.

    ``name`` is the name on the wire, ``version`` the one that lacks an upcaster, or has one and must not.
    """

    def __init__(self, name: str, version: int, reason: str) -> None:
        self.name, self.version = name, version
        super().__init__(f"{name}: {reason}")


class Upcasting:
    """Brings fields up to the version that there is now; used by the codec.

    kinds: the types, by their names on the wire. given: for a type, or a name that no type has any more, the upcasters
    from each of its older versions to the next. A type that has none of its own has those of the nearest type that it
    is derived from. Raises `InvalidOption`, `InvalidUpcasters`.
    """

    def __init__(self, kinds: Mapping[str, type[Message]], given: Mapping[Any, Mapping[int, Upcaster]]) -> None:
        checked = _checked(given)
        for key in checked:
            _check_key(key, kinds)
        self._kinds = kinds
        self._chains = {key: _retired(key, steps) for key, steps in checked.items() if isinstance(key, str)}
        self._chains |= {name: _chain_of(name, kind, checked) for name, kind in kinds.items()}

    def __contains__(self, name: object) -> bool:
        """Whether messages of this name can be read."""
        return name in self._chains

    def renewed(self, name: str, version: int, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """What a message is called now, and its fields in the version that there is now.

        Raises ``KeyError`` for a name that is not known, and ``ValueError`` for a version that is out of reach and for
        an upcaster that fails.
        """
        fields = self._chains[name].run(version, fields)
        if name not in self._kinds:
            name, version = self._renamed(name, fields)
            fields = self._chains[name].run(version, fields)
        if TYPE in fields or VERSION in fields:
            raise ValueError(f"an upcaster of {name} gave {TYPE} or {VERSION}, which only the last of an old name may")
        return name, fields

    def _renamed(self, old: str, fields: dict[str, Any]) -> tuple[str, int]:
        """What fields of an old name belong to now, by what the last upcaster says; that is taken out of them."""
        name, version = fields.pop(TYPE, None), fields.pop(VERSION, 1)
        if not (isinstance(name, str) and name in self._kinds and isinstance(version, int)):
            raise ValueError(
                f"the last upcaster of {old} has to give the name of a known type as {TYPE}, and its version as "
                f"{VERSION} unless that is 1"
            )
        return name, version


class _Chain(msgspec.Struct, frozen=True):
    """The upcasters of one name, without a gap; what has none ahead is up to date."""

    name: str
    steps: Mapping[int, Upcaster]
    oldest: int
    newest: int
    """The oldest and the newest version that can be read."""

    def run(self, version: int, fields: dict[str, Any]) -> dict[str, Any]:
        if version > self.newest:
            raise ValueError(
                f"{self.name} of version {version} is newer than {self.newest}, the last that is known here; renew "
                "those who read before those who write"
            )
        if version < self.oldest:
            raise ValueError(
                f"{self.name} of version {version} is older than {self.oldest}, the first that can be read here; give "
                "the upcasters from there on"
            )
        while version in self.steps:
            fields = self._step(version, fields)
            version += 1
        return fields

    def _step(self, version: int, fields: dict[str, Any]) -> dict[str, Any]:
        who = f"the upcaster of {self.name} from version {version}"
        try:
            made = self.steps[version](fields)
        except Exception as error:
            raise ValueError(f"{who} raised {text_of(error)}") from error
        if not isinstance(made, Mapping):
            raise ValueError(f"{who} gave a value of type {type(made).__name__}, which is no mapping")
        return dict(made)


def version_of(kind: type[Message]) -> int:
    """The version of a type of messages. Raises `InvalidOption` for one that is no whole number, at least 1."""
    try:
        return checked_count("schema_version", kind.schema_version)
    except InvalidOption:
        raise InvalidOption(
            f"{kind.__qualname__}.schema_version",
            kind.schema_version,
            "give the class a whole number, at least 1: `schema_version: ClassVar[int] = 2`",
        ) from None


def _checked(given: Any) -> dict[Any, dict[int, Upcaster]]:
    if not isinstance(given, Mapping) or not all(isinstance(steps, Mapping) for steps in given.values()):
        raise InvalidOption("upcasters", given, "give a mapping from types to mappings from versions to functions")
    for steps in given.values():
        for version, step in steps.items():
            checked_count("upcasters", version)
            if not callable(step) or iscoroutinefunction(step):
                raise InvalidOption("upcasters", step, "give functions that take and give a dict, and are not async")
    return {key: dict(steps) for key, steps in given.items()}


def _check_key(key: Any, kinds: Mapping[str, type[Message]]) -> None:
    if isinstance(key, str):
        if key in kinds:
            raise InvalidOption("upcasters", key, "give the type: a text is for a name that no type has any more")
    elif not (isinstance(key, type) and any(issubclass(kind, key) for kind in kinds.values())):
        raise InvalidOption("upcasters", key, "give them for types that the codec has, and for old names as texts")


def _retired(name: str, steps: Mapping[int, Upcaster]) -> _Chain:
    if not steps:
        raise InvalidOption("upcasters", name, "give an old name at least one upcaster, to what it is called now")
    return _Chain(name, _gapless(name, steps, max(steps) + 1), min(steps), max(steps))


def _chain_of(name: str, kind: type[Message], given: Mapping[Any, Mapping[int, Upcaster]]) -> _Chain:
    version = version_of(kind)
    steps = next((given[base] for base in kind.__mro__ if base in given), None)
    if steps is None and version > 1:
        raise InvalidUpcasters(
            name,
            version - 1,
            f"schema_version is {version}, and there are no upcasters; give Codec(upcasters={{{kind.__qualname__}: "
            f"{{{version - 1}: function}}}}), from the oldest version that is left, or {{}} if none is",
        )
    steps = _gapless(name, steps or {}, version)
    return _Chain(name, steps, min(steps, default=version), version)


def _gapless(name: str, steps: Mapping[int, Upcaster], version: int) -> Mapping[int, Upcaster]:
    """The upcasters, if they lead to a version. Raises `InvalidUpcasters`."""
    for beyond in sorted(steps):
        if beyond >= version:
            cure = f"set it to {beyond + 1}, or take the upcaster out"
            raise InvalidUpcasters(
                name, beyond, f"has an upcaster from version {beyond}, and schema_version is {version}; {cure}"
            )
    for missing in range(min(steps, default=version), version):
        if missing not in steps:
            raise InvalidUpcasters(
                name,
                missing,
                f"no upcaster from version {missing} to {missing + 1}; give it, or take out those before it",
            )
    return steps
