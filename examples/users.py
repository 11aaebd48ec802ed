"""A registration context: users are created, removed and looked up; a mail and a webhook tell of it."""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Container
from contextlib import asynccontextmanager
from itertools import count
from typing import Annotated, Any

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from modd import Bus, Failure, Message, Sensitive
from modd.cqrs import (
    Actor,
    Ask,
    Command,
    CommandBus,
    Emit,
    Event,
    EventBus,
    FeatureDisabled,
    Forbidden,
    InvalidIntent,
    Query,
    QueryBus,
)
from modd.middleware import (
    Authorizer,
    Cacher,
    Endpoint,
    FeatureFlag,
    Lock,
    RateLimit,
    Retryer,
    Validator,
    Webhook,
    authenticated,
    has_role,
)

Name = Annotated[str, msgspec.Meta(min_length=1)]
Email = Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$"), Sensitive]

ADMIN = Actor(id="root", roles=("admin",))
GUEST = Actor(id="eve")


class User(Message):
    """What is known of a user."""

    id: int
    name: Name
    email: Email


class CreateUser(Command[int]):
    """Results in the id of the new user."""

    name: Name
    email: Email


class RemoveUser(Command[None]):
    id: int


class GetUser(Query[User]):
    id: int


class ListUsers(Query[tuple[User, ...]]):
    pass


class UserCreated(Event):
    user: User


class UserRemoved(Event):
    user: User


class UnknownUser(LookupError):
    """There is no user of this id."""


class EmailTaken(ValueError):
    """Another user has this address."""


class Database:
    """What is stored. As many commits fail as `fail` says, as those of a real one do now and then."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}
        self.next_id = count(1).__next__
        self.fail = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Session"]:
        """A unit of work: it is committed when the block ends well, and forgotten when it does not."""
        session = Session(self)
        yield session
        await anyio.lowlevel.checkpoint()
        if self.fail:
            self.fail -= 1
            raise ConnectionError("the database is not there")
        self.users = session.users


class Session:
    """The users as they will be after the commit."""

    def __init__(self, database: Database) -> None:
        self.users = dict(database.users)
        self.next_id = database.next_id


class Mailbox:
    """Mail that was sent, and whether more can be sent now."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.down = False

    async def send(self, to: str, text: str) -> None:
        await anyio.lowlevel.checkpoint()
        if self.down:
            raise ConnectionError("the mail server is not there")
        self.sent.append(f"{to}: {text}")


async def create_user(command: CreateUser, session: Session, emit: Emit) -> int:
    if any(user.email == command.email for user in session.users.values()):
        raise EmailTaken("another user has this address")
    user = User(session.next_id(), command.name, command.email)
    session.users[user.id] = user
    emit(UserCreated(user))
    return user.id


async def remove_user(command: RemoveUser, session: Session, ask: Ask, emit: Emit) -> None:
    user = await ask(GetUser(command.id))
    del session.users[user.id]
    emit(UserRemoved(user))


def get_user(query: GetUser, database: Database) -> User:
    try:
        return database.users[query.id]
    except KeyError:
        raise UnknownUser(f"there is no user {query.id}") from None


def list_users(query: ListUsers, database: Database) -> tuple[User, ...]:
    return tuple(database.users.values())


async def welcome(event: UserCreated, mailbox: Mailbox) -> None:
    await mailbox.send(event.user.email, f"Welcome, {event.user.name}!")


async def goodbye(event: UserRemoved, mailbox: Mailbox) -> None:
    await mailbox.send(event.user.email, f"Goodbye, {event.user.name}.")


class Backlog:
    """Events that had a reaction fail. What they tell of has happened all the same; send them again later."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, failure: Failure) -> None:
        if not isinstance(failure.message, Event):
            raise failure.error  # that is for whoever sent it
        self.events.append(failure.message)


def Users(
    database: Database,
    mailbox: Mailbox,
    backlog: Backlog,
    webhook: Webhook | None = None,
    off: Container[type[Message]] = (),
) -> Bus:
    """The context. Open it around its use; ``off`` has the types of messages that are switched off."""
    commands = CommandBus(
        middleware=[
            Authorizer({CreateUser: has_role("clerk", "admin"), RemoveUser: has_role("admin")}),
            RateLimit(100, per=60),
            Validator(),
            FeatureFlag(lambda kind: kind not in off),
            Retryer(retry_on=(ConnectionError,), backoff="none"),
            Lock(lambda envelope: "users"),
        ],
        resources={Session: database.session},
        name="commands",
    )
    commands.register(CreateUser, create_user)
    commands.register(RemoveUser, remove_user)
    queries = QueryBus(
        middleware=[
            Authorizer({Query: authenticated}),
            Cacher(ttl=10, stale_ttl=0, intents={GetUser: {"ttl": 0}}),
        ],
        resources={Database: database},
        name="queries",
    )
    queries.register(GetUser, get_user)
    queries.register(ListUsers, list_users)
    events = EventBus(
        [welcome, goodbye],
        middleware=[webhook] if webhook else [],
        resources={Mailbox: mailbox},
        name="events",
    )
    return Bus([commands, queries, events, backlog], name="users", exclusive=False)


class Receiver:
    """Takes webhooks at a free port of this machine, and drops those that are not signed with the secret."""

    def __init__(self, secret: str) -> None:
        self._key = b64decode(secret.removeprefix("whsec_"))
        self.url = ""
        self.received: list[str] = []

    async def take(self, stream: SocketStream) -> None:
        """Read one request, and answer it."""
        async with stream:
            reader = BufferedByteReceiveStream(stream)
            _, *lines = (await reader.receive_until(b"\r\n\r\n", 65536)).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.receive_exactly(int(headers["content-length"]))
            genuine = hmac.compare_digest(headers["webhook-signature"], self._signature(headers, body))
            if genuine:
                self.received.append(msgspec.json.decode(body)["type"])
            status = b"204 No Content" if genuine else b"401 Unauthorized"
            await stream.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _signature(self, headers: dict[str, str], body: bytes) -> str:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        return f"v1,{b64encode(hmac.digest(self._key, signed, 'sha256')).decode()}"


@asynccontextmanager
async def receiving(secret: str) -> AsyncIterator[Receiver]:
    """A receiver that is there for as long as the block lasts."""
    receiver = Receiver(secret)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        receiver.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/users"
        tasks.start_soon(listener.serve, receiver.take)
        yield receiver
        tasks.cancel_scope.cancel()


async def main() -> None:
    """Open the context, with a receiver of its webhooks, and use it."""
    secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    database, mailbox, backlog, off = Database(), Mailbox(), Backlog(), set[type[Message]]()
    async with receiving(secret) as receiver:
        webhook = Webhook([Endpoint(url=receiver.url, secret=secret)], allow=["127.0.0.1"])
        async with Users(database, mailbox, backlog, webhook, off) as users:
            ada = await create_and_list(users, database)
            await lose_a_mail(users, mailbox, backlog)
            off.add(CreateUser)
            await refused(users.ask(RemoveUser(ada), GUEST))
            await refused(users.ask(CreateUser("Cid", "nowhere"), ADMIN))
            await refused(users.ask(CreateUser("Cid", "cid@example.com"), ADMIN))
            await users.ask(RemoveUser(ada), ADMIN)
        print("mail:", *mailbox.sent, sep="\n  ")
        print("webhooks:", *receiver.received)


async def create_and_list(users: Bus, database: Database) -> int:
    """The first commit fails, so that the command is tried again; the list is cached."""
    database.fail = 1
    id = await users.ask(CreateUser("Ada", "ada@example.com"), ADMIN)
    user = await users.ask(GetUser(id), GUEST)
    print("created at the second attempt:", user)
    print("listed:", [user.name for user in await users.ask(ListUsers(), GUEST)])
    return id


async def lose_a_mail(users: Bus, mailbox: Mailbox, backlog: Backlog) -> None:
    """The user is created although the mail cannot be sent; the event is sent again later."""
    mailbox.down = True
    id = await users.ask(CreateUser("Bob", "bob@example.com"), ADMIN)
    user = await users.ask(GetUser(id), GUEST)
    print("created without a mail:", user)
    mailbox.down = False
    await users(backlog.events.pop())
    print("listed, from the cache:", [user.name for user in await users.ask(ListUsers(), GUEST)])


async def refused(asked: Awaitable[Any]) -> None:
    """By the rules, for what a field has in it, or because it is switched off."""
    try:
        await asked
    except (Forbidden, InvalidIntent, FeatureDisabled) as error:
        print("refused:", error)


if __name__ == "__main__":
    anyio.run(main)
