"""A hub on this machine: a server that answers as the Hugging Face hub does, kept in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_of_a_test"
# Files that a hub keeps apart from git.
LARGE = (".safetensors", ".bin")


@dataclass
class Repository:
    """A repository: commit to files, and the branches and tags that name commits."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    private: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main", message: str = "") -> str:
        """Add a commit and return its name."""
        told = f"{len(self.commits)}{sorted(files)}{message}".encode()
        name = hashlib.sha1(told, usedforsecurity=False).hexdigest()
        self.commits[name], self.names[branch] = dict(files), name
        self.messages.append(message)
        return name

    def find(self, revision: str) -> str | None:
        """Find the commit of a branch, a tag or a commit."""
        return revision if revision in self.commits else self.names.get(revision)


@dataclass
class Hub:
    """What a hub holds, and what it was asked for."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    # Sizes that it claims instead of the true ones, by file.
    claims: dict[str, int] = field(default_factory=dict)
    may_write: bool = True
    # What it answers to everything while it is down.
    down: int = 0

    def add(self, name: str, files: dict[str, bytes]) -> Repository:
        """Make a repository with a first commit."""
        repository = self.repositories[name] = Repository()
        repository.commit(files)
        return repository

    def files(self, name: str) -> dict[str, bytes]:
        """Give the files of a repository's main branch."""
        repository = self.repositories[name]
        return repository.commits[repository.names["main"]]


class Refused(Exception):
    """An answer that is none: a status and what a hub says beside it."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer what is asked for by reading."""
        self._answer("GET")

    def do_HEAD(self) -> None:
        """Answer the same without its content."""
        self._answer("HEAD")

    def do_POST(self) -> None:
        """Answer what is sent."""
        self._answer("POST")

    def do_PUT(self) -> None:
        """Take a large file."""
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        path, headers, content = unquote(parts.path), {}, b""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        self.hub.asked.append(f"{method} {path}")
        status = 200
        try:
            found = self._route(method, path, body)
            if isinstance(found, tuple):
                content, headers = found
            else:
                content = json.dumps(found).encode()
                headers = {"Content-Type": "application/json"}
        except Refused as error:
            status, content = error.status, json.dumps({"error": error.message}).encode()
            if status == 409:
                content = json.dumps({"url": f"{self.hub.address}/{error.message}"}).encode()
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
        # Clients keep connections, which would outlive the server.
        self.close_connection = True
        self.send_response(status)
        self.send_header("Connection", "close")
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if method != "HEAD":
            self.wfile.write(content)

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _route(self, method: str, path: str, body: bytes) -> Any:
        if self.hub.down:
            raise Refused(self.hub.down, "", "down")
        if method in ("GET", "HEAD"):
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                return self._info(found[1], found[2] or "main")
            if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self._file(found[1], found[2], found[3])
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "", "Invalid credentials in Authorization header")
        if not self.hub.may_write:
            raise Refused(403, "", "You don't have the rights to write here")
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/(.+)", path):
            return (self._preupload if found[2] == "preupload" else self._commit)(
                found[1], found[3], body
            )
        if re.fullmatch(r"/[^/]+/[^/]+\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        raise Refused(404, "", "Not found")

    def _repository(self, name: str) -> Repository:
        if (found := self.hub.repositories.get(name)) is None:
            raise Refused(401, "RepoNotFound", "Repository not found")
        if found.private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "RepoNotFound", "Repository not found")
        return found

    def _at(self, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        repository = self._repository(name)
        if (commit := repository.find(revision)) is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, repository.commits[commit]

    def _info(self, name: str, revision: str) -> dict[str, Any]:
        commit, files = self._at(name, revision)
        sizes = {file: self.hub.claims.get(file, len(content)) for file, content in files.items()}
        siblings = [{"rfilename": file, "size": size} for file, size in sizes.items()]
        return {"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": []}

    def _file(self, name: str, revision: str, file: str) -> tuple[bytes, dict[str, str]]:
        commit, files = self._at(name, revision)
        if file not in files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        tag = hashlib.sha256(files[file]).hexdigest()
        return files[file], {"ETag": f'"{tag}"', "X-Repo-Commit": commit}

    def _create(self, given: dict[str, Any]) -> dict[str, str]:
        name = f"{given['organization']}/{given['name']}"
        if name in self.hub.repositories:
            raise Refused(409, "", name)
        self.hub.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        self.hub.repositories[name].private = given.get("visibility") == "private"
        return {"url": f"{self.hub.address}/{name}"}

    def _preupload(self, name: str, revision: str, body: bytes) -> dict[str, Any]:
        self._at(name, revision)
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in json.loads(body)["files"]
            ]
        }

    def _batch(self, given: dict[str, Any]) -> dict[str, Any]:
        objects = []
        for one in given["objects"]:
            upload = {"upload": {"href": f"{self.hub.address}/lfs/{one['oid']}"}}
            objects.append({**one, "actions": upload})
        return {"transfer": "basic", "objects": objects}

    def _commit(self, name: str, revision: str, body: bytes) -> dict[str, str]:
        before, files = self._at(name, revision)
        new, message = dict(files), ""
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, before):
                    raise Refused(412, "", "A commit has happened since")
            elif step["key"] == "file":
                new[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                new[value["path"]] = self.hub.blobs[value["oid"]]
            elif step["key"] == "deletedFile":
                del new[value["path"]]
            else:
                raise Refused(400, "", f"unknown step {step['key']}")
        commit = self._repository(name).commit(new, revision, message)
        return {"commitUrl": f"{self.hub.address}/{name}/commit/{commit}", "commitOid": commit}


class _Storage(Handler):
    """The same with the place where large files are put, which asks for no token."""

    def _route(self, method: str, path: str, body: bytes) -> Any:
        if method == "PUT" and (found := re.fullmatch(r"/lfs/([0-9a-f]{64})", path)):
            if hashlib.sha256(body).hexdigest() != found[1]:
                raise Refused(400, "", "another content")
            self.hub.blobs[found[1]] = body
            return {}
        return super()._route(method, path, body)


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a hub until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (_Storage,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def at_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Run a hub that ``hf:`` names, with a token for it and nothing asked before."""
    from huggingface_hub import constants

    from csp_core.store.hub import fetch

    # Large files go the way that a plain server can answer.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
    monkeypatch.setattr(fetch, "_asked", {})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub
