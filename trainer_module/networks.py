"""The networks that a recipe may name: one entry says all that differs between them. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainer_module.config import Recipe

if TYPE_CHECKING:
    import keras

Channels = tuple[float, float, float]


def _dcnn(network: Network, recipe: Recipe, weights: str) -> keras.Model:
    from trainer_module.models import dcnn

    return dcnn.backbone(recipe)


def _application(network: Network, recipe: Recipe, weights: str) -> keras.Model:
    from trainer_module.models import applications

    return applications.backbone(network, recipe, weights)


@dataclasses.dataclass(frozen=True)
class Network:
    """A backbone: how it is built, what it gives, and what its weights were trained with."""

    application: str = ""
    """Its name in `keras.applications`, for `applications.backbone`."""
    before_halving: tuple[str, ...] = ()
    """The layers that halve the maps; what enters one is a feature map, and so is the network's output."""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further arguments of that function."""
    build: Callable[[Network, Recipe, str], keras.Model] = _application
    """From the entry, the recipe (`input_size`, `width`) and the weights to a flat model named `backbone` from image
    float32 [B, S, S, 3] in [-1, 1] to a feature map for each of `strides`."""
    strides: tuple[int, int, int, int] = (4, 8, 16, 32)
    """Of the feature maps, shallow to deep, each twice the one before."""
    mean: Channels = (0.5, 0.5, 0.5)
    """Of red, green and blue in [0, 1]: what the weights were trained with took off ..."""
    deviation: Channels = (0.5, 0.5, 0.5)
    """... and divided by. The default is [-1, 1]."""
    width_argument: str = ""
    """The function's name for `Recipe.width`; empty: the network has one width."""
    pretrained_widths: tuple[float, ...] = (1.0,)
    """Those that Keras has ImageNet's weights for; none: the network is trained from scratch."""
    keras_file: str = ""
    """What Keras calls the file of these weights; of several widths with `{width}` in it."""
    telling_kernel: Callable[[float], tuple[int, ...]] = lambda width: ()
    """Shape of a kernel by which a file of the network's weights, at that width, is told from one of another's."""


def check(name: str, width: float, weights: str) -> None:
    """Stops before anything is built, without TensorFlow; whether a file fits shows when it is loaded.

    Raises:
        ValueError: there is no network `name` of `width`, or not with `weights`; the message says what there is.
    """
    network = NETWORKS[name]
    if network.application and not network.width_argument and width != 1.0:
        raise ValueError(f"width is {width:g}, but {name} has one width: use 1")
    if weights == "none":
        return
    if not network.pretrained_widths:
        raise ValueError(f"weights is {weights!r}, but {name} is trained from scratch: use 'none'")
    if weights == "imagenet":
        if width not in network.pretrained_widths:
            widths = " and ".join(map(str, network.pretrained_widths))
            raise ValueError(f"weights is 'imagenet' and width is {width}: Keras has these weights for {widths} alone")
    elif not pathlib.Path(weights).is_file():
        raise ValueError(f"weights is {weights!r}, which is no file: give 'imagenet', 'none' or a .weights.h5 file")


def rounded(channels: float) -> int:
    """A multiple of 8 not far below what is wanted, as `keras.applications` rounds a width's channels."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def _last_of_mobilenet(channels: int) -> Callable[[float], tuple[int, ...]]:
    """Shape of a MobileNetV3's last projection (Howard et al. 2019, tables 1 and 2)."""

    def shape(width: float) -> tuple[int, ...]:
        last = rounded(channels * width)
        return (1, 1, rounded(6 * last), last)

    return shape


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)

NETWORKS: dict[str, Network] = {
    "dcnn": Network(build=_dcnn, strides=(2, 4, 8, 16), pretrained_widths=()),
    "mobilenet_v3_small": Network(
        "MobileNetV3Small",
        ("expanded_conv_1_depthwise_pad", "expanded_conv_3_depthwise_pad", "expanded_conv_8_depthwise_pad"),
        {"include_preprocessing": False},
        width_argument="alpha",
        pretrained_widths=(0.75, 1.0),
        keras_file="weights_mobilenet_v3_small_224_{width}_float_no_top_v2.h5",
        telling_kernel=_last_of_mobilenet(96),
    ),
    "mobilenet_v3_large": Network(
        "MobileNetV3Large",
        ("expanded_conv_3_depthwise_pad", "expanded_conv_6_depthwise_pad", "expanded_conv_12_depthwise_pad"),
        {"include_preprocessing": False},
        width_argument="alpha",
        pretrained_widths=(0.75, 1.0),
        keras_file="weights_mobilenet_v3_large_224_{width}_float_no_top_v2.h5",
        telling_kernel=_last_of_mobilenet(160),
    ),
    "efficientnet_v2_b0": Network(
        "EfficientNetV2B0",
        ("block3a_expand_conv", "block4a_dwconv2", "block6a_dwconv2"),
        {"include_preprocessing": False},
        mean=IMAGENET_MEAN,
        deviation=IMAGENET_DEVIATION,
        keras_file="efficientnetv2-b0_notop.h5",
        telling_kernel=lambda width: (1, 1, 192, 1280),
    ),
    "efficientnet_b0": Network(
        "EfficientNetB0",
        ("block3a_dwconv_pad", "block4a_dwconv_pad", "block6a_dwconv_pad"),
        mean=IMAGENET_MEAN,
        deviation=IMAGENET_DEVIATION,
        keras_file="efficientnetb0_notop.h5",
        telling_kernel=lambda width: (1, 1, 320, 1280),
    ),
    "resnet50_v2": Network(
        "ResNet50V2",
        ("conv2_block3_1_conv", "conv3_block4_1_conv", "conv4_block6_1_conv"),
        keras_file="resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        telling_kernel=lambda width: (1, 1, 1024, 2048),
    ),
    "convnext_tiny": Network(
        "ConvNeXtTiny",
        tuple(f"convnext_tiny_downsampling_block_{index}" for index in range(3)),
        {"include_preprocessing": False},
        mean=IMAGENET_MEAN,
        deviation=IMAGENET_DEVIATION,
        keras_file="convnext_tiny_notop.h5",
        telling_kernel=lambda width: (2, 2, 384, 768),
    ),
    "densenet121": Network(
        "DenseNet121",
        ("pool2_conv", "pool3_conv", "pool4_conv"),
        mean=IMAGENET_MEAN,
        deviation=IMAGENET_DEVIATION,
        keras_file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        telling_kernel=lambda width: (1, 1, 992, 128),
    ),
}
