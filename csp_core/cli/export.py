"""The commands that write a model as an ONNX file and send it to the hub."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from csp_core.cli.console import AsJson, ModelArgument, app, clearing_up, err, out, print_json


@app.command("export")
def export_file(
    model: ModelArgument,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The .onnx file to write.")],
    of: Annotated[
        str | None, typer.Option(metavar="PART", help="places, images or both together.")
    ] = None,
    embedding: Annotated[
        bool, typer.Option("--embedding", help="Give the embedding though the model has classes.")
    ] = False,
    side: Annotated[
        int | None, typer.Option(help="Of pictures, pixels, where the model names none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write what a model says of places or pictures as ONNX, for programs without csp_core.

    Degrees or pixels go in, shares, scores or probabilities of the classes come out, or the
    embedding of a model without classes. Without --of it is what the model says of places, or, if
    it knows none, of pictures. The file's answers are compared with the model's before it is
    written.
    """
    from csp_core.store import export_model

    with err.status("Writing the model as ONNX …"), clearing_up():
        told = export_model(model, output, of=of, embedding=embedding, side=side)
    if as_json:
        print_json({**asdict(told), "path": str(told.path)})
        return
    what = "dimensions" if told.kind == "embedding" else "classes"
    out.print(
        f"Wrote {told.path}, {told.num_bytes / 1e6:.1f} MB: {', '.join(told.inputs)} in,"
        f" {told.output} of {told.width:,} {what} out."
    )
    on = f"at {told.rows} places over the sphere, the poles and ±180° among them"
    if told.of != "places":
        on = f"on {told.rows} pictures of noise and ramps"
        on += ", one of them without a place" if told.of == "both" else ""
    out.print(
        f"ONNX Runtime and the model differ by {told.difference:.1e} at most, {on}, in batches of"
        f" {', '.join(map(str, told.batches))}."
    )
    if told.left:
        out.print(told.left, highlight=False)


@app.command()
def share(
    model: ModelArgument,
    target: Annotated[
        str, typer.Argument(metavar="NAME", help="hf:OWNER/NAME, with @BRANCH for another branch.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="If it is made now, only its owner sees it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send a model to the Hugging Face hub, where `hf:OWNER/NAME` loads it.

    Only the files of the model are sent, in one commit: no records, and nothing else of its folder.
    A species learned from few places, unless without distance, brings the cells of 1° where it was
    seen.
    """
    from csp_core.store import share_model

    told = share_model(model, target, private=private)
    if as_json:
        print_json(asdict(told))
        return
    out.print(
        f"Sent {', '.join(told.files)}, {told.num_bytes / 1e6:.1f} MB, as {told.name}:"
        f" {told.address}, revision {told.commit[:12]}."
    )
    if told.left:
        out.print(f"Not sent: {', '.join(told.left)}.")
    if told.license == "unknown":
        out.print("Mind: its card states no licence, so nobody may use it; say one in README.md.")
