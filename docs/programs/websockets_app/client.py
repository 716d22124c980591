import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


async def main(url: str, *credentials: str) -> None:
    headers = {"Authorization": " ".join(credentials)} if credentials else None
    try:
        async with connect(url, additional_headers=headers) as websocket:
            print(await websocket.recv())
    except InvalidStatus as error:
        print(error.response.status_code, error.response.headers.get("WWW-Authenticate", "-"))


asyncio.run(main(*sys.argv[1:]))
