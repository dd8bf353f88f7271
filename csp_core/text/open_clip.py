"""The text tower of a published CLIP, from a file of its weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError
from csp_core.files import read_state
from csp_core.text.base import TextEncoder

# CLIP's own pieces of words; the mask token is ours and stands behind them.
PIECES = 49_408
# Letters of a caption that are read. Joining the pieces of one endless word takes the square of it.
MOST_LETTERS = 2000
# Size of a head of attention in every text tower of CLIP.
HEAD = 64
# What a layer's parts are called there and in torch.
NAMES = {
    "attn.in_proj_weight": "self_attn.in_proj_weight",
    "attn.in_proj_bias": "self_attn.in_proj_bias",
    "attn.out_proj.weight": "self_attn.out_proj.weight",
    "attn.out_proj.bias": "self_attn.out_proj.bias",
    "ln_1.weight": "norm1.weight",
    "ln_1.bias": "norm1.bias",
    "ln_2.weight": "norm2.weight",
    "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "linear1.weight",
    "mlp.c_fc.bias": "linear1.bias",
    "mlp.c_proj.weight": "linear2.weight",
    "mlp.c_proj.bias": "linear2.bias",
}
OUTSIDE = {
    "positional_embedding": "position",
    "ln_final.weight": "norm.weight",
    "ln_final.bias": "norm.bias",
}
LAYER = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")


def quick_gelu_of(values: Tensor) -> Tensor:
    """Approximate GELU as the first CLIP did.

    Args:
        values: Of any shape.

    Returns:
        ``x · sigmoid(1.702 x)``.
    """
    return values * torch.sigmoid(1.702 * values)


class OpenClipText(TextEncoder):
    """CLIP's text transformer with CLIP's own pieces of words, which the package open_clip brings.

    Args:
        dim: Size of the embedding; with weights, that of their CLIP, such as 512.
        weights: A file of a CLIP's weights as open_clip saves them (``.safetensors``, ``.bin``,
            ``.pt`` of tensors alone), whose sizes count then; None to start from chance.
        width: Size of a token, a multiple of 64.
        layers: Number of layers, 1 to 12.
        context: Tokens of a caption at most, start and end included.
        quick_gelu: Whether it was trained with the first CLIP's activation; a file does not tell.
        dropout: Dropout rate in [0, 1).

    Raises:
        ConfigError: If an option is out of range, or ``dim`` is not that of the weights.
        CheckpointError: If the file cannot be read or holds no text tower of CLIP.
        DataNotFoundError: If there is no such file.

    Source:
        Radford et al. 2021, CLIP; Ilharco et al. 2021, open_clip.
    """

    pad_token, start_token, end_token, mask_token = 0, PIECES - 2, PIECES - 1, PIECES

    def __init__(
        self,
        dim: int,
        *,
        weights: str | None = None,
        width: int = 512,
        layers: int = 12,
        context: int = 77,
        quick_gelu: bool = False,
        dropout: float = 0.0,
    ) -> None:
        state = None if weights is None else _read(Path(weights), dim)
        if state is not None:
            context, width = state["position"].shape
            layers = sum(name.endswith("norm1.weight") for name in state)
        if width % HEAD:
            raise ConfigError(f"width is {width}; CLIP's text towers have multiples of {HEAD}.")
        super().__init__(
            dim,
            width=width,
            layers=layers,
            heads=width // HEAD,
            context=context,
            vocabulary=PIECES + 1,
            dropout=dropout,
            causal=True,
            activation=quick_gelu_of if quick_gelu else nn.functional.gelu,
            bias=False,
        )
        self._tokenizer: Any = None
        if state is not None:
            self._take(state, Path(str(weights)))

    @property
    def sizes(self) -> dict[str, Any]:
        """Sizes as the weights have them; a saved model needs no further file."""
        sizes = {"width": self.width, "layers": len(self.layers), "context": self.context}
        return {**sizes, "weights": None}

    @property
    def specials(self) -> tuple[int, ...]:
        """Start, end and mask; padding is behind the end and has the number of a piece."""
        return (self.start_token, self.end_token, self.mask_token)

    def _take(self, state: dict[str, Tensor], file: Path) -> None:
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise CheckpointError(
                f"{file} holds no text tower of CLIP that fits together"
                f" ({str(error).splitlines()[-1].strip()[:200]})."
            ) from error

    def real(self, tokens: Tensor) -> Tensor:
        """Tell tokens from padding.

        Args:
            tokens: ``(N, L)`` as of ``tokenise``.

        Returns:
            ``(N, L)`` bool, True up to the first end token; everywhere where there is none.
        """
        ended = (tokens == self.end_token).int().cumsum(dim=1)
        return (ended == 0) | ((ended == 1) & (tokens == self.end_token))

    def pieces(self, caption: str) -> list[int]:
        """Cut a caption into CLIP's pieces.

        Args:
            caption: The caption.

        Returns:
            Tokens, without start and end.

        Raises:
            ConfigError: If open_clip is not installed.
        """
        if self._tokenizer is None:
            self._tokenizer = _clips_tokenizer()
        found: list[int] = self._tokenizer.encode(" ".join(caption.split())[:MOST_LETTERS])
        # Words that look like a start or end are none.
        return [token for token in found if token not in self.specials]


def _clips_tokenizer() -> Any:
    """Make CLIP's tokenizer; its package takes seconds to import."""
    try:
        from open_clip.tokenizer import SimpleTokenizer
    except ImportError as error:
        raise ConfigError(
            "A text encoder open_clip needs CLIP's pieces of words, which the package open_clip"
            " brings: `pip install open_clip_torch`, or take model.text: transformer."
        ) from error
    return SimpleTokenizer()


def _read(file: Path, dim: int) -> dict[str, Tensor]:
    """Read the text tower from the weights of a CLIP, under the names that it has here."""
    if not file.is_file():
        raise DataNotFoundError(
            f"No weights at {file}: give a file that open_clip saved, such as"
            " open_clip_model.safetensors of a model on the Hugging Face hub."
        )
    found = {name.removeprefix("text."): value for name, value in read_state(file).items()}
    state = {ours: found[theirs] for theirs, ours in OUTSIDE.items() if theirs in found}
    for name, value in found.items():
        match = LAYER.fullmatch(name)
        if match and match[2] in NAMES:
            state[f"layers.{match[1]}.{NAMES[match[2]]}"] = value
    words, projection = found.get("token_embedding.weight"), found.get("text_projection")
    if projection is None and "text_projection.weight" in found:
        projection = found["text_projection.weight"].T
    parts = (words, projection, state.get("position"))
    if words is None or projection is None or any(p is None or p.ndim != 2 for p in parts):
        raise CheckpointError(f"{file} holds no text tower of CLIP.")
    if len(words) != PIECES:
        raise CheckpointError(
            f"{file} has {len(words):,} pieces of words; those of CLIP are {PIECES:,}."
        )
    if projection.shape[1] != dim:
        raise ConfigError(
            f"The text tower in {file} gives {projection.shape[1]} dimensions: give model.dim:"
            f" {projection.shape[1]} (now {dim})."
        )
    # A mask means any word, so it starts in the middle of all.
    state["token.weight"] = torch.cat((words, words.mean(dim=0, keepdim=True)))
    state["output.weight"] = projection.T.contiguous()
    return state
