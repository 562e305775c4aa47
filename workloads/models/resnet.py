"""ResNet with bottleneck blocks [1]_, the whole network.

Batch normalisation is folded into weights and int32 row biases. ReLUs and residual adds are operators of
their own, so that fusing them is a decision of the mapper. The 3x3 convolution carries a stage's stride
(torchvision's "v1.5"); the paper puts it in the first 1x1.

References
----------
.. [1] K. He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, Table 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from workloads.models.config import ResNetConfig
from workloads.ops import Add, AvgPool, Matmul, MaxPool, Operator, Relu, conv2d
from workloads.ops.conv2d import PIXELS
from workloads.ops.pooling import pooled
from workloads.tensor import Bits, Tensor

IMAGE_CHANNELS = 3


@dataclass(slots=True)
class NetworkBuilder:
    """Collects operators; every method adds one and returns its output tensor, named like the operator."""

    bits: Bits
    operators: list[Operator] = field(default_factory=list)

    def add(self, operator: Operator) -> Tensor:
        """Append ``operator`` and return its output."""
        self.operators.append(operator)
        return operator.output

    def conv(self, name: str, x: Tensor, k: int, window: int, *, stride: int = 1) -> Tensor:
        """Convolve with 'same' padding."""
        bits_of = self.bits.of
        bits = bits_of(f"{name}.weight", "weight"), bits_of(name, "activation"), bits_of(f"{name}.bias", "bias")
        return self.add(conv2d(name, x, k, window, stride=stride, pad=window // 2, bits=bits))

    def relu(self, name: str, x: Tensor) -> Tensor:
        """Rectify."""
        rows, cols = x.elements // x.shape[-1], x.shape[-1]
        return self.add(Relu(name=name, inputs=(x,), output=self.like(x, name), rows=rows, cols=cols))

    def residual(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """Add two tensors."""
        rows, cols = x.elements // x.shape[-1], x.shape[-1]
        return self.add(Add(name=name, inputs=(x, y), output=self.like(x, name), rows=rows, cols=cols))

    def classifier(self, name: str, x: Tensor, classes: int) -> Tensor:
        """Project the pooled channels to the classes."""
        k, bits_of = x.shape[-1], self.bits.of
        weight_bits, bias_bits = bits_of(f"{name}.weight", "weight"), bits_of(f"{name}.bias", "bias")
        weight = Tensor(f"{name}.weight", (k, classes), (x.dims[-1], "classes"), weight_bits, "weight")
        bias = Tensor(f"{name}.bias", (classes,), ("classes",), bias_bits, "bias")
        out = Tensor(name, (x.shape[0], classes), (x.dims[0], "classes"), bits_of(name, "activation"))
        return self.add(Matmul(name=name, inputs=(x, weight, bias), output=out, bias=bias))

    def like(self, x: Tensor, name: str) -> Tensor:
        """Return an activation of the shape of ``x``."""
        return Tensor(name, x.shape, x.dims, self.bits.of(name, "activation"))


def network(config: ResNetConfig, batch: int, bits: Bits) -> tuple[Operator, ...]:
    """Return all operators: stem, stages of bottleneck blocks, global pooling, classifier."""
    net = NetworkBuilder(bits)
    size = config.image_size
    image = Tensor("x", (batch, size, size, IMAGE_CHANNELS), PIXELS, bits.of("x", "activation"))
    x = net.relu("stem_relu", net.conv("stem", image, config.stem_channels, 7, stride=2))
    width = bits.of("stem_pool", "activation")
    x = net.add(MaxPool(
        name="stem_pool", inputs=(x,), output=pooled(x, "stem_pool", 3, 2, 1, width), window=3, stride=2, pad=1
    ))  # fmt: skip
    for stage, count in enumerate(config.blocks):
        inner = config.stem_channels * 2**stage
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            x = _bottleneck(net, f"stage{stage + 1}_{index + 1}", x, inner, inner * config.expansion, stride)
    side = x.shape[1]
    width = bits.of("pool", "activation")
    x = net.add(AvgPool(
        name="pool", inputs=(x,), output=pooled(x, "pool", side, side, bits=width), window=side, stride=side
    ))  # fmt: skip
    net.classifier("classifier", x, config.classes)
    return tuple(net.operators)


def _bottleneck(net: NetworkBuilder, name: str, x: Tensor, inner: int, outer: int, stride: int) -> Tensor:
    """Add 1x1, 3x3, 1x1 convolutions and the shortcut, projected where the shape changes."""
    y = net.relu(f"{name}_relu1", net.conv(f"{name}_conv1", x, inner, 1))
    y = net.relu(f"{name}_relu2", net.conv(f"{name}_conv2", y, inner, 3, stride=stride))
    y = net.conv(f"{name}_conv3", y, outer, 1)
    changes = stride != 1 or x.shape[-1] != outer
    shortcut = net.conv(f"{name}_shortcut", x, outer, 1, stride=stride) if changes else x
    return net.relu(f"{name}_relu3", net.residual(f"{name}_add", y, shortcut))
