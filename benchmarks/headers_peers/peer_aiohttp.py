"""aiohttp's server with `BasicAuth.decode`, which raises a `ValueError` for what it refuses."""

import sys

from aiohttp import BasicAuth, hdrs, web
from headers_cases import USERS


async def basic(request: web.Request) -> web.Response:
    try:
        credentials = BasicAuth.decode(request.headers.get(hdrs.AUTHORIZATION, ""))
    except ValueError:
        credentials = None
    if credentials is None or USERS.get(credentials.login) != credentials.password:
        raise web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: "Basic"})
    return web.Response(text=credentials.login)


app = web.Application()
app.add_routes([web.get("/basic", basic)])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
