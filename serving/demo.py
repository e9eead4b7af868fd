"""A page in the browser that answers photos by a pushed model: `python -m serving.demo`, see `--help`."""

from __future__ import annotations

import argparse
import os
import pathlib
import socket
import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio

    from serving.models import Model

UPLOAD_MEGABYTES = 20
_KEPT_SECONDS = 600
"""So long an uploaded photo stays on the disk."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the page until Ctrl-C; returns 2 if it cannot, 130 if Ctrl-C came before it could."""
    flags = _flags(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            # After the flags: --help should not wait for TensorFlow.
            from serving import models

            _gradio(folder)  # before the model is loaded, which takes its time
            path = models.find(flags.model)
            page = build(models.open_model(path), path, pathlib.Path(folder))
            serve(page, flags.host, flags.port, folder, block=True)
        except (ValueError, OSError) as error:
            print(f"demo: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    return 0


def build(model: Model, path: str, folder: pathlib.Path) -> gradio.Blocks:
    """The page.

    Args:
        model: answers.
        path: of the model, for its name and its samples.
        folder: for what the page keeps on the disk.

    Raises:
        ValueError: Gradio is not installed.
    """
    gradio = _gradio(str(folder))
    from serving import listing, samples

    tries = samples.of_model(path, folder)
    title = model.description.title
    with gradio.Blocks(title=title, analytics_enabled=False, delete_cache=(_KEPT_SECONDS, _KEPT_SECONDS)) as page:
        gradio.Markdown(f"# {title}\nDrop a photo, or try one of the pictures below. It stays on this machine.")
        upload = gradio.File(
            label="Photo", file_types=list(listing.SUFFIXES), height=150, elem_id="upload", container=False
        )
        shown = gradio.HTML(elem_id="answer")
        gallery = gradio.Gallery(
            tries,
            label="Pictures to try",
            columns=4,
            object_fit="cover",
            fit_columns=False,
            allow_preview=False,
            interactive=False,
            elem_id="samples",
            buttons=[],
        )

        def uploaded(file: str) -> tuple[str, None]:
            return _answer(model, file), None  # the place is free for the next one

        def chosen(event: Any) -> str:
            return _answer(model, tries[event.index][0])

        # Gradio looks at the type of the argument, and knows no string for one.
        chosen.__annotations__["event"] = gradio.SelectData
        upload.upload(uploaded, upload, [shown, upload], show_progress="minimal")
        gallery.select(chosen, None, shown, show_progress="minimal")
    return page


def serve(page: gradio.Blocks, host: str, port: int | None, folder: str, block: bool) -> str:
    """Serves the page; returns its address.

    Args:
        page: of `build`.
        host: to listen at.
        port: None: the first that is free from 7860 on.
        folder: that pictures are served from.
        block: until Ctrl-C.

    Raises:
        ValueError: it cannot listen there; one sentence.
        OSError: no port is free.
    """
    _check_address(host, port or 0)  # Gradio says of each failure that no port is free
    import gradio

    from serving import answer_html

    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        prevent_thread_lock=not block,
        quiet=not block,
        max_file_size=UPLOAD_MEGABYTES * 1_000_000,
        allowed_paths=[folder],
        # The default's fonts come from a server of Google's.
        theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        css=answer_html.CSS,
        footer_links=[],
    )
    return address


def _check_address(host: str, port: int) -> None:
    try:
        [(family, kind, _, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ValueError(
            f"it cannot listen at --host {host}{f' --port {port}' * bool(port)}: {error.strerror}"
        ) from error


def _gradio(folder: str) -> Any:
    """The module; what it keeps on the disk lies in `folder`."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # both are read on import
    os.environ["GRADIO_TEMP_DIR"] = folder
    try:
        import gradio
    except ImportError:
        raise ValueError("the demo needs Gradio: pip install 'pets-pipeline[demo]'") from None
    return gradio


def _answer(model: Model, path: str) -> str:
    """The answer to a photo's file as HTML; why there is none, if so."""
    from serving import answer_html, reading

    try:
        data = reading.read(path)
        [answer] = model.answer([model.prepare(data)])
        return answer_html.render(model.description, data, answer)
    except ValueError as error:
        return answer_html.error(str(error))


def _flags(arguments: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m serving.demo", description="A page in the browser that answers photos by a pushed model."
    )
    parser.add_argument(
        "--model",
        metavar="DIR",
        help="a version's folder, or a .tflite with its model.json beside it; left out: the newest in runs/*/serving",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 opens the page to the network (%(default)s)"
    )
    parser.add_argument("--port", type=_port, help="left out: the first that is free from 7860 on")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text}: give a number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
