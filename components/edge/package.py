"""The folder `assets.extra/edge` of a pushed model: the blessed files, and what an application needs to use them."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

from components.edge.results import Edge

FOLDER = os.path.join("assets.extra", "edge")
"""In the SavedModel's folder, where TensorFlow Serving looks for nothing but its own."""
DESCRIPTION_FILE = "model.json"
LABELS_FILE = "labels.txt"


def write(edge: Edge, files: pathlib.Path, saved_model: pathlib.Path) -> None:
    """Copies the blessed files into a SavedModel's folder, with its `model.json`, the labels, and a README.

    Args:
        edge: says which are blessed.
        files: folder where they lie.
        saved_model: the SavedModel's own folder; none of its files is changed.
    """
    folder = saved_model / FOLDER
    folder.mkdir(parents=True)
    for model in edge.models:
        if model.blessed:
            shutil.copyfile(files / model.file, folder / model.file)
    text = (saved_model / "assets" / DESCRIPTION_FILE).read_text(encoding="utf-8")
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    told = json.loads(text)
    # A name may hold a line's end, behind which every line would stand for the class before its own.
    lines = [" ".join(name.splitlines()) for name in told["classes"]]
    (folder / LABELS_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "README.md").write_text(readme(edge, told), encoding="utf-8")


def readme(edge: Edge, told: dict[str, object]) -> str:
    """Ten lines on how to call the files.

    Args:
        edge: names them.
        told: what `model.json` holds.
    """
    first, side, classes, mask = told["image_size"], told["input_size"], told["classes"], told["mask"]
    assert isinstance(classes, list)
    answers = ["`known` float32 [B] (below 0.5: unlike the training's photos)"]
    if classes:
        answers.insert(0, f"`probabilities` float32 [B, {len(classes)}] (in the order of `{LABELS_FILE}`)")
    if isinstance(mask, dict):
        kinds = mask["classes"]
        channels = 1 if len(kinds) == 1 else len(kinds) + 1
        of = f"of {kinds[0]}" if channels == 1 else "of background and " + ", ".join(kinds)
        answers.append(f"`mask` float32 [B, {side}, {side}, {channels}] (probability {of})")
    blessed = [model for model in edge.models if model.blessed]
    files = ", ".join(f"`{model.file}` {model.size_bytes / 1e6:.2f} MB" for model in blessed)
    calls = _calls([model.file for model in blessed], "probabilities" if classes else "mask")
    return f"""# {told["title"]}: models for phones and small machines

- Files: {files or "none passed its check against the SavedModel"}.
- `{DESCRIPTION_FILE}` says what the answers mean, to a program.
- Input `pixels`: uint8 [B, {side}, {side}, 3], RGB, upright, the whole photo stretched to {first} x {first}
  with anti-aliasing{"" if side == first else f", and that to {side} x {side}"}.
- Output: {", ".join(answers)}.
{calls}"""


def _calls(files: list[str], answer: str) -> str:
    """Lines on the calls of what there is: of the files of one engine, the first."""
    tflite = next((file for file in files if file.endswith(".tflite")), None)
    onnx = next((file for file in files if file.endswith(".onnx")), None)
    lines = "- Nothing is to be normalised: the model does that.\n" if files else ""
    if tflite:
        lines += f"""\
- TFLite's signature is `serving_pixels`.
- Python, TFLite (`pip install ai-edge-litert`): `from ai_edge_litert.interpreter import Interpreter`, then
  `Interpreter("{tflite}").get_signature_runner("serving_pixels")(pixels=photos)["{answer}"]`.
"""
    if onnx:
        lines += f"""\
- Python, ONNX (`pip install onnxruntime`): `import onnxruntime`, then
  `onnxruntime.InferenceSession("{onnx}").run(["{answer}"], {{"pixels": photos}})[0]`.
"""
    if tflite:
        call = f'mapOf("pixels" to photo), mapOf("{answer}" to answer), "serving_pixels"'
        lines += f"""\
- Kotlin (`com.google.ai.edge.litert:litert`, class `org.tensorflow.lite.Interpreter`):
  `Interpreter(file).runSignature({call})`; both are direct `ByteBuffer`s in native order.
"""
    return lines
