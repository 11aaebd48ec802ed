"""The registration context: as a program, piece by piece, and as `docs/understand/users.md` shows it."""

from __future__ import annotations

import ast
import re
import secrets
from base64 import b64encode

import anyio
import pytest

from examples.users import (
    ADMIN,
    GUEST,
    Backlog,
    CreateUser,
    Database,
    EmailTaken,
    GetUser,
    ListUsers,
    Mailbox,
    RemoveUser,
    UnknownUser,
    User,
    UserCreated,
    UserRemoved,
    Users,
    main,
    run_receiver,
)
from modd import Bus, TurnFailed
from modd.cqrs import Actor, Forbidden, InvalidIntent, RateLimited
from modd.middleware import Endpoint, Webhook
from modd.testing import Recorder, run_virtual
from tests.test_examples import ROOT, printed

pytestmark = pytest.mark.anyio

ADA = CreateUser("Ada", "ada@example.com")
PRINTED = [
    "created at the second attempt: User(id=2, name='Ada', email=***)",
    "listed: ['Ada']",
    "created without a mail: User(id=3, name='Bob', email=***)",
    "listed, from the cache: ['Ada']",
    "refused: eve may not RemoveUser: its rule has_role('admin') returned False",
    "refused: CreateUser is not valid: $.email: Expected `str` matching regex '^[^@\\\\s]+@[^@\\\\s]+$'",
    "refused: CreateUser is switched off; give FeatureFlag a fallback for it, or switch it on",
    "mail:",
    "  ada@example.com: Welcome, Ada!",
    "  bob@example.com: Welcome, Bob!",
    "  ada@example.com: Goodbye, Ada.",
    "webhooks: UserCreated UserCreated UserRemoved",
]


class Context:
    """A new context, and what it works with."""

    def __init__(self, webhook: Webhook | None = None) -> None:
        self.database, self.mailbox, self.backlog = Database(), Mailbox(), Backlog()
        self.told = Recorder(UserCreated, UserRemoved)
        self.users: Bus = Users(self.database, self.mailbox, self.backlog, webhook)
        self.users.add(self.told)


def secret() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"


async def test_the_run_shows_all_that_the_context_does(capsys: pytest.CaptureFixture[str]) -> None:
    await main()
    assert capsys.readouterr().out.splitlines() == PRINTED


@pytest.mark.slow
def test_it_runs_as_a_program() -> None:
    assert printed("examples/users.py") == PRINTED


async def test_a_command_that_is_retried_tells_of_its_event_once() -> None:
    context = Context()
    context.database.fail = 2
    assert await context.users.ask(ADA, ADMIN) == 3
    assert context.told.messages == [UserCreated(User(3, "Ada", "ada@example.com"))]


async def test_a_commit_that_fails_to_the_end_changes_nothing_and_tells_nobody() -> None:
    context = Context()
    context.database.fail = 3
    with pytest.raises(ConnectionError):
        await context.users.ask(ADA, ADMIN)
    assert (context.database.users, context.told.messages, context.mailbox.sent) == ({}, [], [])
    assert context.backlog.events == []


async def test_what_will_never_work_is_not_retried() -> None:
    context = Context()
    await context.users.ask(ADA, ADMIN)
    with pytest.raises(EmailTaken):
        await context.users.ask(CreateUser("Eve", "ada@example.com"), ADMIN)
    with pytest.raises(UnknownUser):
        await context.users.ask(RemoveUser(7), ADMIN)
    assert [user.name for user in context.database.users.values()] == ["Ada"]


async def three_at_once() -> Context:
    context = Context()
    async with anyio.create_task_group() as tasks:
        for name in ("ada", "bob", "cid"):
            tasks.start_soon(context.users.ask, CreateUser(name, f"{name}@example.com"), ADMIN)
    return context


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_commands_at_the_same_time_lose_no_update(backend: str) -> None:
    context = run_virtual(three_at_once, backend=backend)
    assert {user.name for user in context.database.users.values()} == {"ada", "bob", "cid"}


async def come_101_times() -> float:
    users = Context().users
    for _ in range(3):  # what is refused by the rules does not count
        with pytest.raises(Forbidden):
            await users.ask(RemoveUser(1), Actor(id="root"))
    for _ in range(100):
        with pytest.raises(UnknownUser):
            await users.ask(RemoveUser(1), ADMIN)
    with pytest.raises(RateLimited) as limited:
        await users.ask(RemoveUser(1), ADMIN)
    return limited.value.retry_after


@pytest.mark.costly
@pytest.mark.unmeasured
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_comes_too_often_is_told_when_to_come_again(backend: str) -> None:
    assert run_virtual(come_101_times, backend=backend) == 60


async def test_a_reaction_that_fails_is_kept_and_can_be_sent_again() -> None:
    context = Context()
    context.mailbox.down = True
    id = await context.users.ask(ADA, ADMIN)
    assert (context.mailbox.sent, context.backlog.events) == ([], [UserCreated(context.database.users[id])])
    context.mailbox.down = False
    await context.users(context.backlog.events.pop())
    assert (context.mailbox.sent, context.backlog.events) == (["ada@example.com: Welcome, Ada!"], [])


async def test_without_a_backlog_the_sender_is_told_and_has_the_result_all_the_same() -> None:
    context = Context()
    context.users.remove(context.backlog)
    context.mailbox.down = True
    with pytest.raises(TurnFailed) as failed:
        await context.users.ask(ADA, ADMIN)
    assert failed.value.result in context.database.users
    assert isinstance(failed.value.exceptions[0], ConnectionError)


async def test_the_actor_of_a_command_is_known_to_the_query_that_its_handler_asks() -> None:
    context = Context()
    id = await context.users.ask(ADA, ADMIN)
    with pytest.raises(Forbidden):
        await context.users.ask(GetUser(id))  # nobody is nobody
    await context.users.ask(RemoveUser(id), ADMIN)
    assert (context.database.users, len(context.told.messages)) == ({}, 2)


async def test_a_message_that_is_made_in_python_is_validated_too() -> None:
    with pytest.raises(InvalidIntent) as invalid:
        await Context().users.ask(CreateUser("", "ada@example.com"), ADMIN)
    assert [path for path, _ in invalid.value.errors] == ["$.name"]


async def test_a_fake_stands_in_for_a_handler_in_the_composed_context() -> None:
    context = Context()
    with context.users.override({ListUsers: lambda query: (User(1, "Eve", "eve@example.com"),)}):
        (user,) = await context.users.ask(ListUsers(), GUEST)
    assert user.name == "Eve"


async def test_a_webhook_that_is_refused_changes_nothing_for_the_command() -> None:
    async with run_receiver(secret()) as receiver:
        hook = Endpoint(url=receiver.url, secret=secret(), attempts=1)
        context = Context(Webhook([hook], allow=["127.0.0.1"]))
        async with context.users:
            assert await context.users.ask(ADA, ADMIN) == 1
        assert receiver.received == []


def definitions(code: str) -> dict[str, str]:
    """The classes and functions of some code, without their docstrings."""
    found = {}
    for node in ast.parse(code).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            for each in ast.walk(node):
                if isinstance(each, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(each):
                    each.body = each.body[1:] or [ast.Pass()]
            found[node.name] = ast.unparse(node)
    return found


def test_the_page_shows_the_context_as_it_is() -> None:
    example = definitions((ROOT / "examples/users.py").read_text(encoding="utf-8"))
    page = (ROOT / "docs/understand/users.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    shown = {name: code for block in blocks for name, code in definitions(block).items() if name in example}
    assert shown == {name: example[name] for name in shown}
    assert shown.keys() >= {"CreateUser", "GetUser", "create_user", "remove_user", "get_user", "welcome", "Backlog"}
