"""Paths in a configuration: absolute where it is read, short where it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from csp_core.store.hub.names import is_hub_name


@dataclass(frozen=True)
class PathKey:
    """A key whose value may name a file or folder.

    Args:
        key: ``section.key``; a section that is a list is looked through.
        always: Whether its value is always a path. Else it is one if it exists beside the file, as
            a bare name may be that of a bundled model or a word.
        by_slash: Whether a slash makes it a path too: what an earlier run makes may come later.
        by_ending: Endings that make it a path too.
    """

    key: str
    always: bool = False
    by_slash: bool = False
    by_ending: tuple[str, ...] = ()

    def absolute(self, value: str, folder: Path) -> Path | None:
        """Find the path that a value names.

        Args:
            value: What was written.
            folder: Where it was written.

        Returns:
            The path, or None if it names none.
        """
        if is_hub_name(value):
            return None
        beside = folder / value
        named = self.always or beside.exists() or (self.by_slash and "/" in value)
        named = named or (bool(self.by_ending) and value.lower().endswith(self.by_ending))
        return beside if named else None


PATHS = (
    PathKey("data.root", always=True),
    PathKey("data.index_file", always=True),
    PathKey("data.points", always=True),
    PathKey("data.captions", by_ending=(".csv",)),
    PathKey("data.quality.embedding", by_slash=True),
    PathKey("data.quality.model", by_slash=True),
    PathKey("model.init_from"),
    PathKey("model.image.weights"),
    PathKey("model.image.backbone.weights"),
    PathKey("model.text.weights", always=True),
    PathKey("model.location.covariates.source", always=True),
    PathKey("objective.metadata.init_from"),
    PathKey("teachers.path", by_slash=True),
)


def anchor(tree: dict[str, Any], folder: Path, *, resolve: bool = False) -> None:
    """Make the paths of a configuration absolute.

    Args:
        tree: Plain values of sections, changed; some may be missing.
        folder: What paths are relative to.
        resolve: Whether links and parts such as ``..`` are resolved too.
    """
    for holder, name, path in _found(tree):
        if (absolute := path.absolute(holder[name], folder)) is not None:
            holder[name] = str(absolute.resolve() if resolve else absolute)


def anchor_value(key: str, value: Any, folder: Path, *, resolve: bool = False) -> Any:
    """Make the paths in the value of one key absolute.

    Args:
        key: ``section.key``, or a whole section.
        value: Its value.
        folder: What paths are relative to.
        resolve: As for ``anchor``.

    Returns:
        The value, with absolute paths.
    """
    *sections, last = key.split(".")
    holder = {last: value}
    tree: dict[str, Any] = holder
    for section in reversed(sections):
        tree = {section: tree}
    anchor(tree, folder, resolve=resolve)
    return holder[last]


def named_paths(tree: dict[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
    """List the paths that a configuration names.

    Args:
        tree: Plain values of sections.
        folder: What relative ones are relative to.

    Yields:
        The key, as in ``PATHS``, and the path; a name of a bundled model or a word is none.
    """
    for holder, name, key in _found(tree):
        value = holder[name]
        path = key.absolute(value, folder)
        # A way upwards is one wherever it begins.
        if path is None and (PurePath(value).is_absolute() or ".." in PurePath(value).parts):
            path = folder / value
        if path is not None:
            yield key.key, path


def shorten(tree: dict[str, Any]) -> dict[str, Any]:
    """Cut the paths of a whole tree to their last part.

    Args:
        tree: Plain values of all sections, changed.

    Returns:
        The tree.
    """
    for holder, name, _ in _found(tree):
        if not is_hub_name(holder[name]):
            holder[name] = PurePath(holder[name]).name
    return tree


def hub_names(tree: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """List the models of the hub that a configuration names.

    Args:
        tree: Plain values of sections.

    Yields:
        The key, as in ``PATHS``, and the name.
    """
    for holder, name, key in _found(tree):
        if not key.always and is_hub_name(holder[name]):
            yield key.key, holder[name]


def _found(tree: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str, PathKey]]:
    """List where paths may stand: in sections, and in what other stages do otherwise."""
    others = [teacher.get("overrides") for teacher in _below(tree, ["teachers"])]
    for path in PATHS:
        *sections, last = path.key.split(".")
        holders = [(holder, last) for holder in _below(tree, sections)]
        holders += [(c, path.key) for c in (tree.get("pretrain"), *others) if isinstance(c, dict)]
        for holder, name in holders:
            if isinstance(holder.get(name), str):
                yield holder, name, path


def _below(tree: Any, sections: Sequence[str]) -> list[dict[str, Any]]:
    """List the sections at the end of a way; none where the way leads elsewhere."""
    found = [tree]
    for section in sections:
        inner = [one.get(section) for one in found if isinstance(one, dict)]
        lists = [one if isinstance(one, (list, tuple)) else (one,) for one in inner]
        found = [each for some in lists for each in some]
    return [one for one in found if isinstance(one, dict)]
