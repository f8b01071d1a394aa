"""The sandbox's page: what it serves, what its policy forbids, and that its parts fit together."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from sandbox.page.routes import CONTENT_TYPES, DIRECTIVES, STATIC, add_page, page_files

Client = TestClient[web.Request, web.Application]

FILES: Final = page_files()
MODULES: Final = {
    name: path.read_text(encoding="utf-8") for name, path in FILES.items() if name.endswith(".js")
}
SVG_NAMESPACE: Final = "http://www.w3.org/2000/svg"
IMPORT: Final = re.compile(r'^import\s*(?:\{([^}]*)\}\s*from\s*)?"([^"]+)"', re.MULTILINE)
EXPORT: Final = re.compile(r"^export (?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    add_page(app)
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_the_front_page_is_served_under_a_policy_that_allows_nothing_foreign(
    client: Client,
) -> None:
    """Every directive names 'none' or this origin; pictures may also be data."""
    async with client.get("/") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        assert "<title>Atelier sandbox</title>" in await response.text()
        policy = dict(
            part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; ")
        )
    assert policy == DIRECTIVES
    assert set(" ".join(policy.values()).split()) == {"'none'", "'self'", "data:"}
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


@pytest.mark.parametrize("name", sorted(FILES))
async def test_each_file_is_served_with_its_type_and_the_policy(client: Client, name: str) -> None:
    """A browser refuses a module that is not labelled as JavaScript."""
    async with client.get(f"/page/{name}") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == CONTENT_TYPES[FILES[name].suffix]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert await response.read() == FILES[name].read_bytes()


@pytest.mark.parametrize(
    "path",
    ["/page/missing.js", "/page/../routes.py", "/page/..%2froutes.py", "/page/js/", "/page/"],
)
async def test_nothing_but_the_pages_own_files_is_served(client: Client, path: str) -> None:
    """Names are looked up in the list of files, never joined to a folder."""
    async with client.get(path) as response:
        assert response.status == 404


async def test_the_page_learns_which_switches_exist() -> None:
    """Without a provider there is no proxy; with a route for the bot its buttons show."""

    async def bot(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    add_page(app)
    app.router.add_post("/control/bot", bot)
    async with TestClient(TestServer(app)) as opened:
        async with opened.get("/page/config.json") as response:
            assert await response.json() == {"provider": False, "bot": True}
        async with opened.get("/control/provider/account") as response:
            assert response.status == 404


def test_everything_the_front_page_refers_to_exists() -> None:
    """Each href and src of the document is one of the served files."""
    document = FILES["index.html"].read_text(encoding="utf-8")
    references = re.findall(r'(?:href|src)="(/[^"]*)"', document)
    assert len(references) >= 8
    for reference in references:
        assert reference.removeprefix("/page/") in FILES


def test_every_style_sheet_and_module_is_used() -> None:
    """No file is left over: sheets are linked, modules imported from somewhere."""
    document = FILES["index.html"].read_text(encoding="utf-8")
    imported = {
        source.removeprefix("./") for text in MODULES.values() for _, source in IMPORT.findall(text)
    }
    for name in FILES:
        if name.endswith(".css"):
            assert f"/page/{name}" in document
        elif name.endswith(".js"):
            assert name.removeprefix("js/") in imported | {"main.js"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_import_names_an_export_of_an_existing_module(name: str) -> None:
    """There is no build step that would notice a wrong name."""
    for names, source in IMPORT.findall(MODULES[name]):
        target = f"js/{source.removeprefix('./')}"
        assert source.startswith("./")
        assert target in MODULES
        wanted = {part.strip().split(" as ")[0] for part in names.split(",") if part.strip()}
        assert wanted <= set(EXPORT.findall(MODULES[target]))


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_file_knows_an_address_outside_this_machine(name: str) -> None:
    """The namespace of SVG is a name, not an address."""
    text = FILES[name].read_text(encoding="utf-8").replace(SVG_NAMESPACE, "")
    assert not re.findall(r"(?:https?|wss?):(?:\\?/){2}\w|url\(|@import", text)


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_stay_short_enough_to_read(name: str) -> None:
    """The house limit of 400 lines holds for the page as well."""
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= 400


def test_the_document_has_no_inline_script_or_style() -> None:
    """The policy would block them, silently for a reader of the code."""
    document = FILES["index.html"].read_text(encoding="utf-8")
    assert not re.findall(r"<style|\sstyle=|\son\w+=|javascript:", document)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", document) == [""]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_turns_text_into_markup_or_code(name: str) -> None:
    """Text of users and models reaches the page as text nodes only."""
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    )
    assert not re.findall(forbidden, MODULES[name])


def test_every_colour_variable_that_is_used_is_defined() -> None:
    """A misspelled custom property silently falls back to nothing."""
    sheets = "\n".join(path.read_text(encoding="utf-8") for path in STATIC.rglob("*.css"))
    defined = set(re.findall(r"(--[\w-]+):", sheets))
    set_by_modules = {"--avatar", "--card"}
    assert set(re.findall(r"var\((--[\w-]+)", sheets)) <= defined | set_by_modules


class Provider:
    """The switches of a provider, as far as the proxy is concerned: it repeats what it was told."""

    def __init__(self) -> None:
        self.app = web.Application()
        self.app.router.add_route("*", "/control/{name}", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        told = {
            "method": request.method,
            "path": request.path_qs,
            "type": request.content_type,
            "body": await request.text(),
        }
        return web.json_response(told, status=400 if request.path.endswith("wrong") else 200)


@pytest.fixture
async def provider() -> AsyncIterator[TestServer]:
    server = TestServer(Provider().app)
    await server.start_server()
    yield server
    await server.close()


@pytest.fixture
async def proxied(provider: TestServer) -> AsyncIterator[Client]:
    app = web.Application()
    add_page(app, f"http://{provider.host}:{provider.port}")
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_the_proxy_passes_method_query_body_and_status_on(proxied: Client) -> None:
    """`/control/provider/x` is `/control/x` on the provider's port."""
    async with proxied.put("/control/provider/pace", json={"tokens_per_s": 3}) as response:
        assert await response.json() == {
            "method": "PUT",
            "path": "/control/pace",
            "type": "application/json",
            "body": '{"tokens_per_s": 3}',
        }
    async with proxied.get("/control/provider/requests?since=4") as response:
        assert (await response.json())["path"] == "/control/requests?since=4"
    async with proxied.delete("/control/provider/wrong") as response:
        assert response.status == 400
    async with proxied.get("/page/config.json") as response:
        assert (await response.json())["provider"] is True


async def test_the_proxy_says_so_when_the_provider_is_gone(
    proxied: Client, provider: TestServer
) -> None:
    """A stopped provider is a 502 with facts, not a broken page."""
    await provider.close()
    async with proxied.get("/control/provider/account") as response:
        assert response.status == 502
        assert (await response.json())["error"] == "provider_unreachable"


async def test_the_proxy_refuses_a_foreign_host_name(proxied: Client) -> None:
    """A name that resolves to loopback must not lend a foreign page our origin."""
    headers = {"Host": "rebound.example"}
    async with proxied.get("/control/provider/account", headers=headers) as response:
        assert response.status == 403
