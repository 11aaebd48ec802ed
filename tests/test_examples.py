"""The examples, run as programs, and the shopping context."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import objects.shopping
from factories import Cart, Checkout
from modd import Bus, Message
from modd.testing import Recorder, given
from taxonomy import AddedToCart, AtCheckout, CartTotalsUpdated

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
YOYO = AddedToCart(sku="KAY-123-YOLO", price=Decimal("10.99"), quantity=2)
ROPE = AddedToCart(sku="SKP-001-ROPE", price=Decimal("14.99"), quantity=1)


def printed(program: str) -> list[str]:
    """The lines that a program prints; it must succeed and warn of nothing."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "error"}
    result = subprocess.run(
        [sys.executable, str(ROOT / program)], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def shopping() -> tuple[Bus, list[str]]:
    """A new shopping context, and what it shows at checkout."""
    shown: list[str] = []
    return Bus([Cart(), Checkout(shown.append)], name="shopping"), shown


# MO-2
@pytest.mark.costly
def test_the_shopping_run_prints_the_total_and_the_journey_of_each_message() -> None:
    total, _, *journey = printed("examples/shopping.py")
    assert total == "3 items, total cost: 36.97"
    heads = [line for line in journey if not line.startswith((" ", "├", "└"))]
    assert [head.partition("(")[0] for head in heads] == ["AddedToCart", "AddedToCart", "AtCheckout"]
    assert [line.strip(" │├└─").split("  ")[0] for line in journey if line not in heads] == [
        "Cart.cart",
        "CartTotalsUpdated(items=2, total=Decimal('21.98'))",
        "Checkout.checkout",
        "Cart.cart",
        "CartTotalsUpdated(items=3, total=Decimal('36.97'))",
        "Checkout.checkout",
        "Checkout.checkout",
    ]


@pytest.mark.costly
def test_the_shop_of_three_contexts_lets_out_what_was_shipped_and_what_was_not_there() -> None:
    lines = printed("examples/shop.py")
    assert lines[:7] == [
        "shop: Ordered",
        "  cart: Ordered",
        "    Cart.price: Ordered",
        "    Cart.place: Priced",
        "  stock: OrderPlaced",
        "    Stock.reserve: OrderPlaced",
        "  shipping: Reserved",
    ]
    assert lines[8:12] == [
        "Shipped(sku='yoyo', parcel=1)",
        "OutOfStock(sku='yoyo')",
        "Shipped(sku='rope', parcel=2)",
        "",
    ]
    orders = [line for line in lines[12:] if line.startswith("Ordered")]
    assert orders == [f"Ordered(sku={sku!r}, quantity={n})" for sku, n in [("yoyo", 2), ("yoyo", 2), ("rope", 1)]]


async def test_two_yoyos_and_a_rope_come_to_three_items_and_their_price() -> None:
    # MO-2
    bus, shown = shopping()
    totals = Recorder(CartTotalsUpdated)
    bus.add(totals)
    for message in (YOYO, ROPE, AtCheckout()):
        assert await bus(message) == ()
    assert shown == ["3 items, total cost: 36.97"]
    assert totals.messages == [CartTotalsUpdated(2, Decimal("21.98")), CartTotalsUpdated(3, Decimal("36.97"))]


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ([], "the cart is empty"),
        ([ROPE], "1 item, total cost: 14.99"),
        ([ROPE, ROPE], "2 items, total cost: 29.98"),
        ([AddedToCart("GIFT", Decimal(0), 1)], "1 item, total cost: 0"),
    ],
)
async def test_the_checkout_shows_what_is_in_the_cart_each_time(before: list[Message], line: str) -> None:
    bus, shown = shopping()
    await given(bus, *before).when(AtCheckout(), AtCheckout()).then_nothing()
    assert shown == [line, line]


async def test_checkout_before_anything_was_added_says_so_and_the_customer_can_go_on() -> None:
    bus, shown = shopping()
    for message in (AtCheckout(), YOYO, AtCheckout()):
        await bus(message)
    assert shown == ["the cart is empty", "2 items, total cost: 21.98"]


def test_the_checkout_prints_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    Checkout()(AtCheckout())
    assert capsys.readouterr().out == "the cart is empty\n"


def test_sums_of_decimals_are_exact() -> None:
    cart = Cart()
    dime = AddedToCart("DIME", Decimal("0.10"), 1)
    assert [cart(dime) for _ in range(3)][-1] == CartTotalsUpdated(3, Decimal("0.30"))


def test_each_cart_and_each_checkout_has_a_state_of_its_own() -> None:
    first, second = Cart(), Cart()
    assert first(YOYO) == second(YOYO) == CartTotalsUpdated(2, Decimal("21.98"))
    shown: list[str] = []
    Checkout(shown.append)(CartTotalsUpdated(1, Decimal(5)))
    Checkout(shown.append)(AtCheckout())
    assert shown == ["the cart is empty"]


def test_the_composed_bus_is_made_of_a_cart_and_a_checkout() -> None:
    assert str(objects.shopping.shopping.graph()).splitlines() == [
        "shopping: AddedToCart, CartTotalsUpdated, AtCheckout",
        "  Cart.cart: AddedToCart",
        "  Checkout.checkout: CartTotalsUpdated, AtCheckout",
    ]


@pytest.mark.slow
def test_orders_survive_an_app_that_is_killed_and_the_totals_are_right() -> None:
    assert printed("examples/orders.py") == [
        "Ada: 100 orders, 24850 cents",
        "Grace: 100 orders, 24950 cents",
        "Kay: 100 orders, 25050 cents",
    ]


@pytest.mark.parametrize("path", ["taxonomy.py", "factories/cart.py", "factories/checkout.py"])
def test_the_page_about_the_layout_shows_the_files_as_they_are(path: str) -> None:
    page = (ROOT / "docs/start/layout.md").read_text(encoding="utf-8")
    code = (ROOT / path).read_text(encoding="utf-8")
    definitions = [node for node in ast.parse(code).body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    assert definitions
    assert [node.name for node in definitions if str(ast.get_source_segment(code, node)) not in page] == []
