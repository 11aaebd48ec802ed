"""Docstrings for mkdocstrings: lines of parameters, names in backticks, texts of errors, fields as parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from textwrap import dedent
from typing import Any

import griffe

PACKAGES = (
    "",
    ".cqrs",
    ".aggregate",
    ".service",
    ".middleware",
    ".flow",
    ".projection",
    ".parts",
    ".ports",
    ".stores",
    ".worker",
    ".relay",
    ".remote",
    ".follower",
    ".app",
    ".testing",
    ".journey",
    ".catalog",
    ".fastapi",
    ".gateway",
    ".nats",
)
"""The packages whose public names are in the reference, those that come first being shown first."""

WITH_EXTRAS = ".middleware"
"""The package that imports some of its public names late, so that its ``__all__`` lacks them."""

HOOKS = {
    "modd.middleware.": {"arrange", "background_work", "bind", "check", "may_queue", "role"},
    "modd.parts.": {"accepts", "boundary"},
    "modd.service.": {"accepts"},
}
"""Members that buses use, by the beginning of the paths of their classes; the base classes explain them."""

NAME = re.compile(r"(?<![`\[\w])`([A-Za-z_][\w.]*)`(?![`\]])")
"""A name in single backticks; two backticks enclose code."""


class ModdDocstrings(griffe.Extension):
    """Turns the docstrings of modd into those of Google's style, which griffe understands."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Rewrite every docstring, once the whole package is known."""
        if pkg.path != "modd":
            return
        names = public_names(pkg)
        for each in objects_in(pkg):
            if each.is_class:
                add_constructor(each)
            if each.is_class and each.path.startswith(tuple(HOOKS)):
                remove_hooks(each)
            if each.docstring:
                each.docstring.value = google_style(each, each.docstring.value, names)


def public_names(package: griffe.Module) -> dict[str, str]:
    """Return the path by which each public name is imported, the first if there are several.

    A name of something else in a later package is known by its path alone.
    """
    found: dict[str, str] = {}
    places: dict[str, str] = {}
    for path in PACKAGES:
        module = package[path[1:]] if path else package
        aliases = [name for name, member in module.members.items() if member.is_alias]
        for name in [*(module.exports or ()), *(aliases if path == WITH_EXTRAS else ())]:
            path, place = f"{module.path}.{name}", place_of(module.members[str(name)])
            found.setdefault(str(name) if places.setdefault(str(name), place) == place else path, path)
    return found


def place_of(member: griffe.Object | griffe.Alias) -> str:
    """Return the path at which an object is defined, as far as it is in modd."""
    with suppress(griffe.AliasResolutionError):
        return str(member.final_target.path if isinstance(member, griffe.Alias) else member.path)
    return str(member.path)


def objects_in(package: griffe.Object) -> Iterator[griffe.Object]:
    """Yield all that is defined in a package."""
    yield package
    for member in list(package.members.values()):
        if isinstance(member, griffe.Object):
            yield from objects_in(member)


def add_constructor(class_: Any) -> None:
    """Give a class of fields (a message, a stamp, a typed dictionary) a constructor with these as parameters."""
    if "__init__" in class_.members or class_.name.startswith("_") or "Protocol" in map(str, class_.bases):
        return
    fields = [each for each in class_.members.values() if each.is_attribute and is_field(each)]
    if not fields:
        return
    is_dictionary = "TypedDict" in map(str, class_.bases)
    kind = griffe.ParameterKind.keyword_only if is_dictionary else griffe.ParameterKind.positional_or_keyword
    parameters = [
        griffe.Parameter(each.name, annotation=each.annotation, kind=kind, default=each.value) for each in fields
    ]
    class_.set_member("__init__", griffe.Function("__init__", parameters=griffe.Parameters(*parameters), returns=None))
    for each in fields:
        if not each.docstring:
            class_.del_member(each.name)


def is_field(attribute: griffe.Attribute) -> bool:
    """Return True for an attribute with an annotation that is not one of the class."""
    return "instance-attribute" in attribute.labels and not attribute.name.startswith("_")


def remove_hooks(class_: griffe.Object) -> None:
    """Remove the members of a class that a bus uses, and no user."""
    hooks = next(hooks for prefix, hooks in HOOKS.items() if class_.path.startswith(prefix))
    for name in hooks & class_.members.keys():
        class_.del_member(name)


def google_style(object_: griffe.Object, text: str, names: dict[str, str]) -> str:
    """Return a docstring in Google's style, with links."""
    known = parameters_of(object_)
    text = "\n\n".join(paragraph(each, known) for each in text.split("\n\n"))
    if object_.is_class and (message := message_of(object_)):
        text += f"\n\nThe text, with values in braces:\n\n> {message}"
    return NAME.sub(lambda match: link_to(match[1], names), text)


def parameters_of(object_: griffe.Object) -> list[str]:
    """Return the names of the parameters that a docstring may explain."""
    if isinstance(object_, griffe.Class):
        constructor = object_.members.get("__init__")
        return parameters_of(constructor) if isinstance(constructor, griffe.Function) else []
    return [each.name for each in object_.parameters] if isinstance(object_, griffe.Function) else []


def paragraph(text: str, known: list[str]) -> str:
    """Return a paragraph; if it explains parameters, as a section of them."""
    if not known:
        return text
    name = rf"(?:{'|'.join(map(re.escape, known))})"
    parts = re.split(rf"(?:^|(?<=\. )|(?<=\n))({name}(?:, {name})*): ", text.strip())
    if parts[0] or len(parts) == 1:
        return text
    lines = ["Args:"]
    for explained, meaning in zip(parts[1::2], parts[2::2], strict=True):
        lines += [f"    {each}: {' '.join(meaning.split())}" for each in explained.split(", ")]
    return "\n".join(lines)


def link_to(name: str, names: dict[str, str]) -> str:
    """Return a name as a link to its section, if it is public."""
    path = names.get(name) or (name if name in names.values() else None)
    return f"[`{name}`][{path}]" if path else f"`{name}`"


def message_of(error: griffe.Object) -> str | None:
    """Return the text that an error passes to its base class."""
    for call in ast.walk(ast.parse(dedent(error.source))):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__" and call.args:
            return template(call.args[0])
    return None


def template(text: ast.expr) -> str | None:
    """Return the text of a string, with the expressions of an f-string in braces."""
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return text.value
    if not isinstance(text, ast.JoinedStr):
        return None
    values = [each.value if isinstance(each, ast.Constant) else f"`{expression(each)}`" for each in text.values]
    return "".join(map(str, values))


def expression(value: ast.expr) -> str:
    """Return an expression of an f-string, in braces."""
    assert isinstance(value, ast.FormattedValue)
    return f"{{{ast.unparse(value.value)}}}"
