"""A registration context: users are created, removed and looked up, with a mail and a webhook for each change."""

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
    """The data of a user."""

    id: int
    name: Name
    email: Email


class CreateUser(Command[int]):
    """Create a user; the result is the id."""

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
    """The stored users. The next ``fail`` commits fail, as commits of a real database do at times."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}
        self.next_id = count(1).__next__
        self.fail = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Session"]:
        """Open a unit of work, which is committed at the end of the block, or dropped if the block raises."""
        session = Session(self)
        yield session
        await anyio.lowlevel.checkpoint()
        if self.fail:
            self.fail -= 1
            raise ConnectionError("the database cannot be reached")
        self.users = session.users


class Session:
    """The users as they will be after the commit."""

    def __init__(self, database: Database) -> None:
        self.users = dict(database.users)
        self.next_id = database.next_id


class Mailbox:
    """The sent mails. While ``down`` is True, sending fails."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.down = False

    async def send(self, to: str, text: str) -> None:
        await anyio.lowlevel.checkpoint()
        if self.down:
            raise ConnectionError("the mail server cannot be reached")
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
    """Events whose reaction failed. The event itself has happened, so send it again later."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, failure: Failure) -> None:
        if not isinstance(failure.message, Event):
            raise failure.error  # the sender has to see it
        self.events.append(failure.message)


def Users(
    database: Database,
    mailbox: Mailbox,
    backlog: Backlog,
    webhook: Webhook | None = None,
    off: Container[type[Message]] = (),
) -> Bus:
    """Create the context; open it with ``async with``. off: the message types that are switched off."""
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
    """Receives webhooks at a free port of this machine, and rejects requests without a signature by the secret."""

    def __init__(self, secret: str) -> None:
        self._key = b64decode(secret.removeprefix("whsec_"))
        self.url = ""
        self.received: list[str] = []

    async def serve(self, stream: SocketStream) -> None:
        """Read one request and respond."""
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
async def run_receiver(secret: str) -> AsyncIterator[Receiver]:
    """Run a receiver for the time of the block."""
    receiver = Receiver(secret)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        receiver.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}/users"
        tasks.start_soon(listener.serve, receiver.serve)
        yield receiver
        tasks.cancel_scope.cancel()


async def main() -> None:
    """Open the context, with a receiver of its webhooks, and use it."""
    secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
    database, mailbox, backlog, off = Database(), Mailbox(), Backlog(), set[type[Message]]()
    async with run_receiver(secret) as receiver:
        webhook = Webhook([Endpoint(url=receiver.url, secret=secret)], allow=["127.0.0.1"])
        async with Users(database, mailbox, backlog, webhook, off) as users:
            ada = await create_and_list(users, database)
            await lose_a_mail(users, mailbox, backlog)
            off.add(CreateUser)
            await print_refusal(users.ask(RemoveUser(ada), GUEST))
            await print_refusal(users.ask(CreateUser("Cid", "nowhere"), ADMIN))
            await print_refusal(users.ask(CreateUser("Cid", "cid@example.com"), ADMIN))
            await users.ask(RemoveUser(ada), ADMIN)
        print("mail:", *mailbox.sent, sep="\n  ")
        print("webhooks:", *receiver.received)


async def create_and_list(users: Bus, database: Database) -> int:
    """Create a user whose first commit fails, so that the command is retried; list the users, which is cached."""
    database.fail = 1
    id = await users.ask(CreateUser("Ada", "ada@example.com"), ADMIN)
    user = await users.ask(GetUser(id), GUEST)
    print("created at the second attempt:", user)
    print("listed:", [user.name for user in await users.ask(ListUsers(), GUEST)])
    return id


async def lose_a_mail(users: Bus, mailbox: Mailbox, backlog: Backlog) -> None:
    """Create a user whose mail cannot be sent, and send the event again later."""
    mailbox.down = True
    id = await users.ask(CreateUser("Bob", "bob@example.com"), ADMIN)
    user = await users.ask(GetUser(id), GUEST)
    print("created without a mail:", user)
    mailbox.down = False
    await users(backlog.events.pop())
    print("listed, from the cache:", [user.name for user in await users.ask(ListUsers(), GUEST)])


async def print_refusal(result: Awaitable[Any]) -> None:
    """Await a result that is refused: by a rule, for an invalid field, or because the feature is off."""
    try:
        await result
    except (Forbidden, InvalidIntent, FeatureDisabled) as error:
        print("refused:", error)


if __name__ == "__main__":
    anyio.run(main)
