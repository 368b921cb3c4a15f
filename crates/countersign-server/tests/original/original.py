"""litestar-auth 1.1.1 as an application runs it beside our server: its JWTStrategy, on the same accounts and denylist.

Commands come on standard input, one a line; each is answered by a line of JSON:

    write EMAIL       a token of the original's for this account
    read TOKEN        the id of the account that the token is read as, or null
    destroy TOKEN     null, once the token is on the denylist
"""

import asyncio
import json
import os
import sqlite3
import sys
from dataclasses import dataclass
from uuid import UUID

from litestar_auth.authentication.strategy import JWTStrategy
from litestar_auth.authentication.strategy.jwt import RedisJWTDenylistStore
from redis.asyncio import Redis


@dataclass
class User:
    id: UUID
    email: str
    hashed_password: str
    is_active: bool
    is_verified: bool


class UserManager:
    """Reads the accounts that our server keeps, as they are at the moment."""

    def __init__(self, path: str) -> None:
        self.database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)

    async def get(self, user_id: UUID) -> User | None:
        return self._find("id", user_id.bytes)

    def by_email(self, email: str) -> User | None:
        return self._find("email", email)

    def _find(self, column: str, value: object) -> User | None:
        columns = "id, email, hashed_password, is_active, is_verified"
        row = self.database.execute(f'SELECT {columns} FROM "user" WHERE {column} = ?', (value,)).fetchone()
        if row is None:
            return None
        return User(UUID(bytes=row[0]), row[1], row[2], bool(row[3]), bool(row[4]))


async def answer(command: str, argument: str, strategy: JWTStrategy, users: UserManager) -> str | None:
    match command:
        case "write":
            return await strategy.write_token(users.by_email(argument))
        case "read":
            user = await strategy.read_token(argument, users)
            return None if user is None else str(user.id)
        case "destroy":
            user = await strategy.read_token(argument, users)
            return await strategy.destroy_token(argument, user)
    raise ValueError(command)


async def main() -> None:
    redis = Redis.from_url(os.environ["ORIGINAL_REDIS_URL"])
    strategy = JWTStrategy(
        secret=os.environ["ORIGINAL_SECRET"],
        subject_decoder=UUID,
        denylist_store=RedisJWTDenylistStore(redis=redis),
    )
    users = UserManager(os.environ["ORIGINAL_ACCOUNTS"])
    print(json.dumps("ready"), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, _, argument = line.rstrip("\n").partition(" ")
        print(json.dumps(await answer(command, argument, strategy, users)), flush=True)
    await redis.aclose()


asyncio.run(main())
