"""Which bands of the images of tiles are read, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from csp_core.data.tiles.raster import Header
from csp_core.errors import BadRecordError, ConfigError


@dataclass(frozen=True)
class Bands:
    """The bands that are read of each image.

    Args:
        names: What the files call them, where they are told by that; else empty.
        numbers: Their numbers from 1, where they are told by that.
        chosen: Whether somebody has chosen them, so that files may have others beside.
    """

    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    chosen: bool = False

    def of(self, header: Header, first: Header) -> tuple[int, ...]:
        """Find the bands in a file.

        Args:
            header: What the file says of itself.
            first: What the first of all files says.

        Returns:
            Their numbers in the file, from 1.

        Raises:
            BadRecordError: If it lacks one, or has another number of bands than the first.
        """
        if not self.chosen and len(header.bands) != len(first.bands):
            raise BadRecordError(
                f"{len(header.bands)} bands, but {first.name} has {len(first.bands)}; give all"
                " tiles the same, or choose some with bands",
                file=header.name,
            )
        if self.names and (self.chosen or _named(header)):
            return self._by_name(header)
        numbers = self.numbers or tuple(range(1, len(first.bands) + 1))
        if max(numbers) > len(header.bands):
            raise BadRecordError(
                f"no band {max(numbers)}; it has {len(header.bands)}{_opacity(header)}",
                file=header.name,
            )
        return tuple(header.bands[number - 1] for number in numbers)

    def _by_name(self, header: Header) -> tuple[int, ...]:
        places = {name: band for name, band in zip(header.names, header.bands, strict=True)}
        lacking = [name for name in self.names if name not in places]
        if lacking:
            raise BadRecordError(
                f"no band {', '.join(lacking)}; its bands are"
                f" {', '.join(filter(None, header.names)) or 'not named'}",
                file=header.name,
            )
        return tuple(places[name] for name in self.names)

    def told(self, headers: Sequence[Header]) -> dict[str, object]:
        """Tell which bands are read, and whether files have them in another order.

        Args:
            headers: What the files say of themselves.

        Returns:
            Facts for ``info``.
        """
        names = self.names or tuple(map(str, self.numbers))
        other = sum(_named(one) and one.names != self.names for one in headers)
        told: dict[str, object] = {"bands": list(names)} if names else {}
        if self.names and not self.chosen and other:
            told["images_with_bands_in_another_order"] = other
        return told


def find_bands(headers: Sequence[Header], bands: Sequence[int | str] | None) -> Bands:
    """Find out how the bands of images are told: as chosen, by the names in the files, by place.

    Args:
        headers: What the files say of themselves.
        bands: Numbers from 1, or names; None for all bands.

    Returns:
        How to find them in each file.

    Raises:
        ConfigError: If a choice is empty, names a band twice or mixes numbers with names.
    """
    if bands is None:
        return Bands(next((one.names for one in headers if _named(one)), ()))
    chosen = list(bands)
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in chosen)
    named = all(isinstance(one, str) and one for one in chosen)
    if not chosen or len(set(chosen)) < len(chosen) or not (whole or named):
        raise ConfigError(
            f"bands is {chosen!r}; give numbers from 1, such as [4, 3, 2], or names that the files"
            " give them, such as [B4, B3, B2], each once."
        )
    if whole:
        return Bands(numbers=tuple(int(one) for one in chosen), chosen=True)
    return Bands(names=tuple(str(one) for one in chosen), chosen=True)


def _opacity(header: Header) -> str:
    """Say that a band is not counted, if there is one of opacity."""
    if header.opaque is None:
        return ""
    return (
        f" beside band {header.opaque}, which it says is opacity; if that is none, write the file"
        " with photometric=minisblack"
    )


def _named(header: Header) -> bool:
    """Tell whether a file calls all of its bands by names of their own."""
    return all(header.names) and len(set(header.names)) == len(header.names)
