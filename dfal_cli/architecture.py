"""Which network suits, when nobody names one: known without torch."""

LARGEST_SIDE_FOR_LENET5 = 64


def default_architecture(input_shape: tuple[int, int, int]) -> str:
    """A network that suits images of this shape, (C, H, W)."""
    return "lenet5" if max(input_shape[1:]) <= LARGEST_SIDE_FOR_LENET5 else "resnet18"
