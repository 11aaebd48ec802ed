"""`Settings`: a frozen value that is read from the environment when a program starts."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, TypeVar, dataclass_transform

import msgspec

from modd.app.errors import InvalidSettings
from modd.app.setting_fields import (
    SettingField,
    check_defaults,
    docs_of_fields,
    fields_of_settings,
    is_blank,
    variables_of,
)
from modd.app.setting_sources import SettingProblem, find_source, misspelled
from modd.app.setting_types import setting_type
from modd.app.setting_values import Unfit, read_setting
from modd.core import Value, mask_values
from modd.errors import InvalidOption
from modd.texts import text_of

logger = logging.getLogger("modd.app")

PREFIX = re.compile(r"[A-Z]([A-Z0-9_]*)_")
METHODS = ("load", "describe")


class SettingHelp(NamedTuple):
    """The help for one setting.

    variable: the name of the variable.
    type: the type, or the choices.
    default: the default as it is written in a variable, ``***`` for a `Sensitive` field; ``required`` without one.
    doc: the docstring of the field, or "".
    """

    variable: str
    type: str
    default: str
    doc: str


M = TypeVar("M", bound="SettingsType")


class SettingsType(msgspec.StructMeta):
    """The type of `Settings` classes: they are frozen, take their fields by keyword, and have a prefix."""

    __setting_prefix__: str

    def __new__(
        mcls: type[M],
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        prefix: str | None = None,
        frozen: bool = True,
    ) -> M:
        """Make a class. prefix: the beginning of its variables; None for that of the base class."""
        if frozen is not True:
            raise InvalidOption("frozen", frozen, "settings do not change; leave the option out")
        made = super().__new__(mcls, name, bases, namespace, frozen=True, kw_only=True)
        if prefix is not None:
            made.__setting_prefix__ = _checked_prefix(prefix)
        if any(isinstance(base, SettingsType) for base in bases):
            _check_names(made)
            check_defaults(made)
        return made


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Settings(Value, metaclass=SettingsType, frozen=True):
    """The base of settings: a frozen value whose fields are read from the environment.

    Declare the fields as in a dataclass: ``class Config(Settings, prefix="SHOP_"): db: Path = Path("shop.db")`` reads
    ``SHOP_DB``. Variables without ``prefix`` have the name of the field in capital letters. A subclass inherits fields
    and prefix. Make one with keywords in a test: ``Config(db=path)``. It shows ``***`` for fields that are `Sensitive`.
    """

    __setting_prefix__ = ""

    def __init_subclass__(cls, *, prefix: str | None = None, frozen: Literal[True] = True) -> None:
        """Tell type checkers the options of a class, which `SettingsType` takes."""
        super().__init_subclass__()

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, /) -> Self:
        """Return the settings in an environment; by default that of the process.

        A variable such as ``SHOP_DB`` has the value, or ``SHOP_DB_FILE`` has the path of a file with the value. A
        warning is logged for each variable with the prefix that looks misspelled.

        Raises:
            InvalidSettings: variables are missing, or do not fit; it tells all of them.
        """
        fields = fields_of_settings(cls, cls.__setting_prefix__)
        for variable, meant in misspelled(cls.__setting_prefix__, fields, environ):
            logger.warning("%s is not known; did you mean %s?", variable, meant)
        values, errors = dict[str, Any](), list[tuple[str, str]]()
        for field in fields:
            try:
                values |= _read(field, environ)
            except SettingProblem as problem:
                errors.append((problem.variable, problem.text))
        if errors:
            raise InvalidSettings(cls.__name__, errors)
        return _made(cls, values)

    @classmethod
    def describe(cls) -> list[SettingHelp]:
        """Return the help for each setting, in the order of the fields; it shows nothing of the environment."""
        docs = docs_of_fields(cls)
        return [
            SettingHelp(
                field.variable,
                setting_type(field.hint),
                "required" if field.default is None else field.default,
                docs.get(field.name, ""),
            )
            for field in fields_of_settings(cls, cls.__setting_prefix__)
        ]


S = TypeVar("S", bound=Settings)


def _checked_prefix(prefix: Any) -> str:
    if not (isinstance(prefix, str) and PREFIX.fullmatch(prefix)):
        raise InvalidOption("prefix", prefix, "give capital letters, digits and _, with _ at the end, such as SHOP_")
    return prefix


def _check_names(kind: SettingsType) -> None:
    """Raise `InvalidOption` for fields that would hide a method, and for two fields of one variable."""
    for name in METHODS:
        if name in kind.__struct_fields__:
            raise InvalidOption("field", name, "it is a method of Settings: choose another name")
    variables_of("", kind.__struct_fields__)


def _read(field: SettingField, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of a field by its name; nothing if the default counts. Raises `SettingProblem`."""
    source = find_source(field, environ)
    if source is None:
        if field.default is None:
            raise SettingProblem(field.variable, f"is not set ({setting_type(field.hint)})")
        return {}
    try:
        value = read_setting(source.text, field.hint)
    except Unfit as unfit:
        problem = unfit.sentence(is_secret=field.is_secret, is_file=source.is_file)
    except TypeError as error:
        raise InvalidOption(field.name, field.hint, f"msgspec has no such type: {error}") from error
    else:
        if field.may_be_blank or not is_blank(value):
            return {field.name: value}
        problem = "its file is empty" if source.is_file else "is empty"
    raise SettingProblem(source.variable, problem)


def _made(kind: type[S], values: Mapping[str, Any]) -> S:
    """Return the settings, or raise `InvalidSettings` for a ``__post_init__`` that refuses them."""
    try:
        return kind(**values)
    except Exception as error:  # shown without the values that its text may have
        problem = mask_values(text_of(error), [*values.values()])
    raise InvalidSettings(kind.__name__, [(kind.__name__, problem)])
