"""The styles are loaded with the page itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from shared import style

PAGE = "<html><head></head><body><div id=root>é</div></body></html>"
BROWSER = {"accept": "text/html,*/*", "accept-encoding": "gzip"}


def plain(request: Request) -> Response:
    return PlainTextResponse("</body>")


def html(request: Request) -> Response:
    if "if-none-match" in request.headers:
        return Response(status_code=304)
    return HTMLResponse(PAGE, headers={"etag": '"a"', "last-modified": "then"})


def in_parts(request: Request) -> Response:
    return StreamingResponse(iter([PAGE[:40], PAGE[40:]]), media_type="text/html")


def missing(request: Request) -> Response:
    return HTMLResponse(PAGE, status_code=404)


def client(*, sidebar: bool) -> TestClient:
    routes = [
        *(Route(path, html) for path in ("/", "/component/map/index.html", "/media/a.html")),
        *(Route("/plain", plain), Route("/parts", in_parts), Route("/none", missing)),
    ]
    dressed = Middleware(style.Dressed, sidebar=sidebar)
    packed = Middleware(GZipMiddleware, minimum_size=1)
    return TestClient(Starlette(routes=routes, middleware=[dressed, packed]))


@pytest.mark.parametrize("path", ["/", "/parts"])
@pytest.mark.parametrize("sidebar", [True, False])
def test_a_page_loads_the_styles_last(path: str, sidebar: bool) -> None:
    answer = client(sidebar=sidebar).get(path, headers=BROWSER)
    links = re.findall(r'<link rel="stylesheet" href="/app/static/style/(\w+)\.css\?', answer.text)
    assert links == ["page", "sidebar"][: 1 + sidebar]
    assert answer.text.index("<link") > answer.text.index("é</div>")
    assert answer.text.endswith("></body></html>")
    assert "etag" not in answer.headers and "last-modified" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_page_in_memory_is_no_answer() -> None:
    asked = client(sidebar=True).get("/", headers={**BROWSER, "if-none-match": '"a"'})
    assert asked.status_code == 200 and "stylesheet" in asked.text


def test_all_else_is_left_alone() -> None:
    assert client(sidebar=True).get("/plain", headers=BROWSER).text == "</body>"
    answer = client(sidebar=True).get("/", headers={"accept": "application/json"})
    assert answer.text == PAGE and answer.headers["etag"] == '"a"'
    for path in ("/component/map/index.html", "/media/a.html", "/none"):
        assert client(sidebar=True).get(path, headers=BROWSER).text == PAGE
    # What is asked for without its content has the length of what would come.
    asked = client(sidebar=True).head("/", headers=BROWSER)
    assert asked.status_code == 200 and asked.headers["content-length"] != "0"


def test_every_colour_that_the_styles_take_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(style.st, "html", said.append)
    style.apply_style()
    css = (Path(style.__file__).parents[1] / style.FOLDER / style.PAGE).read_text("utf-8")
    asked = set(re.findall(r"var\((--csp-\w+(?:-\w+)*)\)", css))
    fixed = {"--csp-phone-map"}
    assert asked <= set(re.findall(r"--csp-\w+", said[0])) | fixed
    assert css.count("{") == css.count("}")
