"""What a tree of buses must do: a message is (kind, energy), a failure ("F", message, component, error)."""

from typing import Any


class Fail(Exception):
    errors, outs = property(lambda self: self.args[0]), property(lambda self: self.args[1])


class ModelBus:  # its parts are buses, or have a name, accepts() and act(message, bus, give), which returns an error
    def __init__(self, name: str, parts: list[Any], inbound: set[Any] | None, outbound: set[Any]) -> None:
        self.name, self.parts, self.inbound, self.outbound = name, parts, inbound, outbound
        self.turns: list[list[Any]] = [[]]  # what left in each turn that is open, innermost last
        self.stack: list[Any] = []  # the buses of all turns that are open, innermost last; one list for all buses

    def accepts(self) -> tuple[set[Any], bool]:
        if self.inbound is not None:
            return self.inbound, False
        offers = [part.accepts() for part in self.parts]
        kinds = {kind for kinds, everything in offers if not everything for kind in kinds} - {"F"}
        return kinds, not kinds and any(everything for _, everything in offers)

    def gets(self, part: Any, kind: Any) -> bool:
        kinds, everything = part.accepts()
        return kind in kinds or (everything and not (kind == "F" and isinstance(part, ModelBus)))

    def send(self, message: Any) -> list[Any]:
        queue, outs, errors = list[Any]([(message, self)]), list[Any](), list[Any]()
        self.turns.append(outs)
        self.stack.append(self)
        while queue:
            message, source = queue.pop(0)
            failure, raised, handled = message[0] == "F", list[Any](), False
            for part in [part for part in self.parts if part is not source and self.gets(part, message[0])]:
                origin = part if isinstance(part, ModelBus) else None

                def give(item: Any, origin: Any = origin, queue: Any = queue, outs: Any = outs) -> None:
                    queue.append((item, origin))
                    outs.extend([item] if item[0] in self.outbound - {"F"} else [])

                error = part.act(message, self, give)
                if error and not failure:
                    queue.append((("F", message, part.name, error), origin))
                raised += [error] if error and failure and error not in [message[3], *raised] else []
                handled = handled or (not error and "F" in part.accepts()[0])
            if failure and not handled:
                outs += [message] if "F" in self.outbound and source is not self else []
                raised = raised if "F" in self.outbound and source is not self else [message[3], *raised]
            errors += raised
        self.turns.pop()
        self.stack.pop()
        self.turns[-1] += [] if self.returned_outside() else outs
        if errors:
            raise Fail(errors, outs)
        return outs

    def has(self, bus: Any) -> bool:
        return bus is self or any(part.has(bus) for part in self.parts if isinstance(part, ModelBus))

    def returned_outside(self) -> bool:  # then what left is with the caller for good: it leaves once
        if self not in self.stack or self.has(self.stack[-1]):
            return False
        return self.stack[-1].has(self) or self.stack[-1] in self.stack[: self.stack.index(self)]

    def act(self, message: Any, _: Any, give: Any) -> Any:
        try:
            left, error = self.send(message), None
        except Fail as fail:
            left, error = fail.outs, message[3] if fail.errors == list(message[3:]) else fail
        _ = [give(item) for item in left]
        return error
