"""The same with its documentation protected too: `uvicorn private:app`."""

from typing import Any

from app import ANY, AUTHENTICATION, protected
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

# FastAPI's own pages take no dependencies, so they are switched off, and made here.
app = FastAPI(
    title="Demo", middleware=[AUTHENTICATION], dependencies=ANY, openapi_url=None, docs_url=None
)
app.include_router(protected)


@app.get("/openapi.json", include_in_schema=False)
async def openapi() -> dict[str, Any]:
    return app.openapi()


@app.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    return get_swagger_ui_html(openapi_url="/openapi.json", title=app.title)
