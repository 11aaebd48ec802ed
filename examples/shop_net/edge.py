"""What is public, and who is who; the same for both ways."""

from components import GetOrders, OrderPlaced, PlaceOrder
from modd.cqrs import Actor
from modd.gateway import Request, accept, answer, forward

TOKENS = {"ada-token": Actor("ada"), "bob-token": Actor("bob")}  # yours: a session table, or a JWT


async def who(request: Request) -> Actor | None:
    return TOKENS.get(request.bearer or request.cookie("session") or "")


def own(actor: Actor, message: PlaceOrder | GetOrders) -> bool:
    return message.customer == actor.id


EXPOSED = (
    accept(PlaceOrder, allow=own),
    answer(GetOrders, allow=own),
    forward(
        OrderPlaced,
        to=lambda event: f"orders/{event.customer}",
        allow=lambda actor, channel: channel == f"orders/{actor.id}",
    ),
)
