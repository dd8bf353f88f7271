"""The hub's own client, and what went wrong on the way to it, each in one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import csp_core
from csp_core.errors import CheckpointError
from csp_core.store.hub.names import HubName

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# Seconds to wait for an answer.
PATIENCE = 10.0
# Answers of a hub that is down, or that was asked too often.
BUSY = (429, 500, 502, 503, 504)
# What is wrong with the files of this machine rather than with the connection.
OF_FILES = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT}
LOG_IN = "`hf auth login` keeps one, or HF_TOKEN holds it"


class UnreachableError(CheckpointError):
    """The hub cannot be reached from here."""


def client() -> HfApi:
    """Make a client of the hub that ``HF_ENDPOINT`` names, or the usual one.

    Returns:
        The client; it uses the token that is kept on this machine, if there is one.
    """
    from huggingface_hub import HfApi

    return HfApi(
        # The library reads this only once, as it is imported.
        endpoint=os.environ.get("HF_ENDPOINT") or None,
        library_name="csp_core",
        library_version=csp_core.__version__,
    )


def has_token() -> bool:
    """Tell whether a token is kept on this machine."""
    from huggingface_hub import get_token

    return get_token() is not None


@contextlib.contextmanager
def told(name: HubName, api: HfApi, *, writes: bool = False, bars: bool = False) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence.

    Args:
        name: What was asked for.
        api: The client.
        writes: Whether something is written there.
        bars: Whether the client may draw its progress bars, on a terminal.

    Raises:
        UnreachableError: If there is no connection.
        CheckpointError: If there is no such repository or revision, or it is not open to this user.
    """
    from huggingface_hub import errors

    try:
        with _bars_on_terminals() if bars else _no_bars():
            yield
    # Those of the connection are of a library that changes with the client's version.
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        raise _told(error, name, api, writes) from error
    except RuntimeError as error:  # what a thread that sends a large file ends with
        raise _told(error.__cause__ or error, name, api, writes) from error
    # An answer that is no hub's, or a card that the hub does not take.
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _strange(error, name, api) from error


def _told(error: BaseException, name: HubName, api: HfApi, writes: bool) -> BaseException:
    """Give what to raise instead of what the client raised."""
    from huggingface_hub import errors

    if isinstance(error, errors.LocalTokenNotFoundError):
        return CheckpointError(f"{name} needs a token: {LOG_IN}.")
    if isinstance(error, (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)):
        return UnreachableError(_unreachable(name, api, error.__cause__ or error))
    if isinstance(error, errors.HfHubHTTPError):
        if _status(error) in BUSY:
            return UnreachableError(_unreachable(name, api, error))
        return CheckpointError(_refused(error, name, api, writes))
    if isinstance(error, OSError) and error.errno in OF_FILES:
        return error
    if isinstance(error, (errors.HTTPError, OSError)):  # type: ignore[attr-defined]
        return UnreachableError(_unreachable(name, api, error))
    return _strange(error, name, api)


def _strange(error: BaseException, name: HubName, api: HfApi) -> CheckpointError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return CheckpointError(
        f"{api.endpoint} and this program did not understand each other about {name} ({reason});"
        " HF_ENDPOINT must name a hub."
    )


def _bars_on_terminals() -> AbstractContextManager[None]:
    """Let the client draw its progress bars where somebody sees them."""
    return contextlib.nullcontext() if sys.stderr.isatty() else _no_bars()


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub import utils

    if utils.are_progress_bars_disabled():  # type: ignore[attr-defined]
        yield
        return
    utils.disable_progress_bars()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        utils.enable_progress_bars()  # type: ignore[attr-defined]


def _unreachable(name: HubName, api: HfApi, error: BaseException) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{name} is on the hub, and HF_HUB_OFFLINE forbids to ask it."
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return f"{name} is on the hub, and {api.endpoint} cannot be reached ({reason})."


def _status(error: Any) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _refused(error: Any, name: HubName, api: HfApi, writes: bool) -> str:
    """Say what the hub answered to a request that it did not grant."""
    from huggingface_hub import errors

    status = _status(error) or "an error"
    if isinstance(error, errors.GatedRepoError):
        return f"{name} is open to those who accepted its terms on {api.endpoint}; then {LOG_IN}."
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            f"{name.repository} has no revision {name.revision!r} on {api.endpoint}; give a branch,"
            " a tag or a commit that it has."
        )
    if status in (401, 403) and writes:
        return (
            f"{api.endpoint} lets this token not write to {name.repository} ({status}): give one"
            f" with the right to write there; {LOG_IN}."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        known = "and this token may not see it" if has_token() else f"for which {LOG_IN}"
        return (
            f"There is no model {name.repository} on {api.endpoint}, or it is a private one,"
            f" {known}."
        )
    if status == 401:
        return f"{api.endpoint} knows the token of this machine not (401); {LOG_IN}."
    reason = " ".join(str(error).split())[:200]
    return f"{api.endpoint} answered {status} when it was asked for {name} ({reason})."
