"""Images a second of our training step against PyTorch's, channels_last, on a network of the same layers.

    .venv/tools/bin/uv pip install --python .venv/bin/python --target torch torch && rm -r torch/triton
    PYTHONPATH=torch:. python benchmarks/torch_step.py [--model dcnn] [--size 224]

The PyTorch network is made layer by layer from the Keras one: as many parameters, as large outputs. Both steps are
AdamW with clipped gradients, label smoothing, cross-entropy and Dice, and the moving average of the weights if the
recipe has one, on one constant batch; only ours also keeps Keras' metrics. They take turns in one process. Triton comes
with PyTorch's build for CUDA; a step on the CPU does not need it, and it was seen to crash beside TensorFlow.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import keras
import numpy as np
from batch_norm import constant_batch

from schema import record
from trainer_module import training
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import build_model, heads

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    print("torch_step: skipped, for PyTorch is not installed; the head of this file says how to")
    sys.exit()

WARM_UP, STEPS = 3, 10


def twin_layer(layer: keras.layers.Layer) -> Callable[..., Any]:
    """What PyTorch has for one Keras layer; raises ValueError for a layer that the networks do not use yet."""
    if isinstance(layer, keras.Model):
        return Twin(layer)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        (kernel, _), (stride, _) = layer.kernel_size, layer.strides
        extra = (kernel - stride) % 2
        channels, padding = layer.input.shape[-1], (kernel - stride + extra) // 2
        return nn.ConvTranspose2d(channels, layer.filters, kernel, stride, padding, extra, bias=layer.use_bias)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        channels, (kernel, _), (stride, _) = layer.input.shape[-1], layer.kernel_size, layer.strides
        padding = 0 if layer.padding == "valid" else kernel // 2
        return nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=layer.use_bias)
    if isinstance(layer, keras.layers.SeparableConv2D):
        channels, (kernel, _) = layer.input.shape[-1], layer.kernel_size
        return nn.Sequential(
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False),
            nn.Conv2d(channels, layer.filters, 1, bias=layer.use_bias),
        )
    if isinstance(layer, keras.layers.Conv2D):
        (kernel, _), (stride, _) = layer.kernel_size, layer.strides
        padding = 0 if layer.padding == "valid" else kernel // 2
        channels = layer.input.shape[-1]
        return nn.Conv2d(channels, layer.filters, kernel, stride, padding, groups=layer.groups, bias=layer.use_bias)
    if isinstance(layer, keras.layers.BatchNormalization):
        flat = len(layer.input.shape) == 2
        norm = nn.BatchNorm1d if flat else nn.BatchNorm2d
        return norm(layer.input.shape[-1], eps=layer.epsilon, momentum=1 - layer.momentum)
    if isinstance(layer, keras.layers.Dense):
        return nn.Linear(layer.input.shape[-1], layer.units)
    if isinstance(layer, keras.layers.Dropout):
        return nn.Dropout(layer.rate)
    if isinstance(layer, keras.layers.AveragePooling2D):
        return nn.AvgPool2d(layer.pool_size, layer.strides, ceil_mode=layer.padding == "same")
    if isinstance(layer, heads.MeanOverForeground):
        return _mean_over_foreground
    functions: dict[type, Callable[..., Any]] = {
        keras.layers.ReLU: lambda x: functional.relu(x) if layer.max_value is None else functional.relu6(x),
        keras.layers.Add: lambda xs: sum(xs[1:], xs[0]),
        keras.layers.Multiply: lambda xs: xs[0] * xs[1],
        keras.layers.Concatenate: lambda xs: torch.cat(xs, dim=1),
        keras.layers.GlobalAveragePooling2D: lambda x: x.mean(dim=(2, 3), keepdim=layer.keepdims),
        keras.layers.GlobalMaxPooling2D: lambda x: x.amax(dim=(2, 3), keepdim=layer.keepdims),
        keras.layers.UpSampling2D: lambda x: functional.interpolate(x, scale_factor=layer.size, mode="nearest"),
        keras.layers.ZeroPadding2D: lambda x: functional.pad(x, (*layer.padding[1], *layer.padding[0])),
    }
    if type(layer) in functions:
        return functions[type(layer)]
    if isinstance(layer, keras.layers.Activation):
        activations = {
            "linear": lambda x: x,
            "relu": functional.relu,
            "hard_silu": functional.hardswish,
            "sigmoid": torch.sigmoid,
        }
        if layer.activation.__name__ in activations:
            return activations[layer.activation.__name__]
    raise ValueError(f"{layer.name} is a {type(layer).__name__}: say in torch_step.twin_layer what PyTorch calls it")


def _mean_over_foreground(inputs: list[torch.Tensor]) -> torch.Tensor:
    features, mask = inputs
    share = functional.avg_pool2d(mask.sigmoid().detach(), mask.shape[-1] // features.shape[-1])
    return (features * share).sum(dim=(2, 3)) / (share.sum(dim=(2, 3)) + 1e-3)


class Twin(nn.Module):
    """A Keras functional model, layer for layer; takes one tensor [B, C, H, W], returns the model's outputs."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model
        self.calls: dict[str, Callable[..., Any]] = {}
        for layer in model.layers:
            if not isinstance(layer, keras.layers.InputLayer):
                self.calls[layer.name] = twin_layer(layer)
        modules = {name: call for name, call in self.calls.items() if isinstance(call, nn.Module)}
        self.layers = nn.ModuleDict(modules)

    def forward(self, image: torch.Tensor) -> Any:
        values = {id(self.model.inputs[0]): image}
        for nodes in sorted(self.model._nodes_by_depth.items(), reverse=True):
            for node in nodes[1]:
                if node.is_input:
                    continue
                inputs = [values[id(tensor)] for tensor in node.input_tensors]
                results = self.calls[node.operation.name](inputs if len(inputs) > 1 else inputs[0])
                outputs = results if isinstance(results, list) else [results]
                values.update({id(tensor): value for tensor, value in zip(node.outputs, outputs, strict=True)})
        return keras.tree.map_structure(lambda tensor: values[id(tensor)], self.model._outputs_struct)


def check_twin(model: keras.Model, twin: Twin, image: torch.Tensor) -> None:
    """Raises AssertionError where the two have other parameters or other outputs."""
    ours = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    theirs = sum(parameter.numel() for parameter in twin.parameters())
    assert ours == theirs, f"{ours} trainable parameters in Keras, {theirs} in PyTorch"
    outputs = twin(image)
    for name, tensor in model.output.items():
        shape = tuple(outputs[name].shape)
        channels_last = (*shape[2:], shape[1]) if len(shape) == 4 else shape[1:]
        assert channels_last == tensor.shape[1:], f"{name} is {tensor.shape} in Keras, {shape} in PyTorch"


def torch_step(
    twin: Twin, image: torch.Tensor, targets: dict[str, torch.Tensor], config: TrainerConfig
) -> Callable[[], float]:
    """One training step, as a function that returns the loss."""
    recipe = config.recipe
    parameters = list(twin.parameters())
    averages = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=recipe.weight_decay, foreach=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        outputs = twin(image)
        logits, mask = outputs[record.MASK], targets[record.MASK]
        class_loss = functional.cross_entropy(
            outputs[config.label], targets[config.label], label_smoothing=recipe.label_smoothing
        )
        probability = logits.sigmoid()
        overlap, total = (probability * mask).sum((1, 2, 3)), (probability + mask).sum((1, 2, 3))
        dice = (1 - (2 * overlap + 1) / (total + 1)).mean()
        mask_loss = functional.binary_cross_entropy_with_logits(logits, mask) + dice
        loss = class_loss + recipe.mask_loss_weight * mask_loss
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if recipe.ema:
            torch._foreach_lerp_(averages, [parameter.detach() for parameter in parameters], 1 - recipe.ema)
        return loss.item()

    return step


def images_per_second(step: Callable[[], object], batch: int, steps: int = STEPS) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * batch / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(pets_config().contestants), default="dcnn")
    parser.add_argument("--size", type=int, default=224, help="side of the network's input, in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    config, image, targets = constant_batch(flags.model, flags.size)
    batch = len(image)
    model = build_model(config)
    training.compile_for(model, Phase(1, 1e-4), steps=100, config=config, probed=False)

    twin = Twin(model).train()
    for parameter in twin.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    to_torch = {4: lambda array: torch.from_numpy(array).permute(0, 3, 1, 2), 2: torch.from_numpy}
    torch_image = to_torch[4](image).contiguous(memory_format=torch.channels_last)
    check_twin(model, twin, torch_image)
    theirs = torch_step(twin, torch_image, {key: to_torch[value.ndim](value) for key, value in targets.items()}, config)
    for step in (lambda: model.train_on_batch(image, targets), theirs):
        images_per_second(step, batch, WARM_UP)
    rounds = [
        [images_per_second(step, batch) for step in (lambda: model.train_on_batch(image, targets), theirs)]
        for _ in range(flags.rounds)
    ]
    ours_speed, torch_speed = (statistics.median(speeds) for speeds in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other in rounds)
    print(
        f"{flags.model} at {flags.size}, {model.count_params():,} parameters: Keras {ours_speed:.0f}, "
        f"PyTorch {torch.__version__} {torch_speed:.0f} images/s: ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
