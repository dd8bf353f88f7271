"""Text encoders: captions as byte pairs, and transformers over them.

Example:
    >>> encoder = make_text_encoder("transformer", dim=8, width=16, vocabulary=300)
    >>> encoder.fit_captions(["a river between fields", "a river in a forest"])
    >>> encoder(encoder.tokenise(["a forest", "fields"])).shape
    torch.Size([2, 8])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp_core.tables import construct, option_names
from csp_core.text.base import TextEncoder
from csp_core.text.open_clip import OpenClipText
from csp_core.text.transformer import TextTransformer
from csp_core.text.vocabulary import Vocabulary

__all__ = ["TEXT_ENCODERS", "TextEncoder", "TextTransformer", "Vocabulary", "make_text_encoder"]

TEXT_ENCODERS: dict[str, Callable[..., TextEncoder]] = {
    "transformer": TextTransformer,
    "open_clip": OpenClipText,
}


def make_text_encoder(name: str, dim: int = 256, **options: Any) -> TextEncoder:
    """Make a text encoder.

    Args:
        name: A name in ``TEXT_ENCODERS``.
        dim: Size of the embedding.
        **options: Options of the encoder.

    Returns:
        The encoder: ``(N, L)`` tokens → ``(N, dim)``.

    Raises:
        UnknownNameError: If there is no such encoder.
        ConfigError: If an option is unknown or out of range.
    """
    encoder = construct("text encoder", TEXT_ENCODERS, name, dim, **options)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    known = option_names(TEXT_ENCODERS[name], given=1)
    encoder.spec = {"name": name, **known, **options, **encoder.sizes}
    return encoder
