from typing import Any

from app import CurrentUser, auth
from fastapi import FastAPI, Security
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

# FastAPI's own pages take no dependencies: they are switched off, and made here.
app = FastAPI(dependencies=[Security(auth)], docs_url=None, redoc_url=None, openapi_url=None)
auth.install(app)


@app.get("/openapi.json", include_in_schema=False)
async def openapi() -> dict[str, Any]:
    return app.openapi()


@app.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    return get_swagger_ui_html(openapi_url="/openapi.json", title=app.title)


@app.get("/protected")
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.username}!"}
