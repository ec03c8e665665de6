"""Networks that lie: each is a LeNet-like body with one thing wrong. Their checkpoint names them `liars:NAME`."""

import os
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Plain(nn.Module):
    """In order: a small network whose logits are the brightness and its opposite, more or less."""

    def __init__(self, num_classes, input_shape):
        super().__init__()
        self.layer = nn.Linear(input_shape[0] * input_shape[1] * input_shape[2], num_classes)
        with torch.no_grad():
            self.layer.weight.normal_(generator=torch.Generator().manual_seed(0))
            self.layer.weight -= self.layer.weight.mean(1, keepdim=True)
            self.layer.bias.zero_()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, images):
        return self.layer(images.flatten(1))


def after(change):
    """Build a network whose logits, (B, K), of its images are changed by a function."""

    class Changed(Plain):
        def forward(self, images):
            return change(self, images, super().forward(images))

    return Changed


def with_side_effect(effect):
    return after(lambda network, images, logits: (effect(network, images), logits)[1])


def _nan_for_some(network, images, logits):
    bright = images.mean((1, 2, 3)) > 0.5
    return logits.where(~bright[:, None], torch.nan)


def _nan_off_the_image(network, images, logits):
    whole = (images * 255 - (images * 255).round()).abs().amax((1, 2, 3)) < 1e-3
    return logits.where(whole[:, None], torch.nan)


def _real(images):
    """Not the zeros that a network is tried on when it is built."""
    return bool((images != 0).any())


def _raise(network, images):
    if _real(images):
        raise ValueError("nothing doing")


def _exit(network, images):
    if _real(images):
        sys.exit(0)


def _fork(network, images):
    if _real(images) and not os.fork():
        time.sleep(0.1)


def _forever(network, images):
    while _real(images):
        time.sleep(0.01)


def _write_into_input(network, images):
    with torch.no_grad():
        images.fill_(0.5)


class TrainsAlways(nn.Module):
    """Batch normalisation that ignores eval()."""

    def __init__(self, num_classes, input_shape):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(input_shape[0]), Plain(num_classes, input_shape))

    def train(self, mode=True):
        return super().train(True)

    def forward(self, images):
        return self.body(images)


class NoGradient(Plain):
    @torch.no_grad()
    def forward(self, images):
        return super().forward(images)


class GradientOff(Plain):
    def forward(self, images):
        torch.set_grad_enabled(False)
        return super().forward(images)


class LostForOne(Plain):
    """x.squeeze(), which takes the batch of one for something superfluous."""

    def forward(self, images):
        return super().forward(images).squeeze()


plain = Plain
trains_always = TrainsAlways
no_gradient = NoGradient
lost_for_one = LostForOne
constant = after(lambda network, images, logits: logits * 0 + torch.arange(logits.shape[1]))
detached = after(lambda network, images, logits: logits.detach())
rounded = after(lambda network, images, logits: logits.round())
nan_for_some = after(_nan_for_some)
nan_for_all = after(lambda network, images, logits: logits * torch.nan)
nan_off_the_image = after(_nan_off_the_image)
random = after(lambda network, images, logits: F.dropout(logits + 1, training=True))
by_batch_mates = after(lambda network, images, logits: logits - logits.mean(0))
flat = after(lambda network, images, logits: logits[:, 0])
spatial = after(lambda network, images, logits: logits[:, :, None, None])
as_tuple = after(lambda network, images, logits: (logits, None))
as_dict = after(lambda network, images, logits: {"logits": logits})
one_class_more = after(lambda network, images, logits: torch.cat([logits, logits[:, :1]], 1))
one_class = after(lambda network, images, logits: logits[:, :1])
whole_numbers = after(lambda network, images, logits: logits.long())
double = after(lambda network, images, logits: logits.double())
elsewhere = after(lambda network, images, logits: logits.to("meta"))
raising = with_side_effect(_raise)
exiting = with_side_effect(_exit)
forking = with_side_effect(_fork)
never_ending = with_side_effect(_forever)
printing = with_side_effect(lambda network, images: print("look at me"))
writing_into_input = with_side_effect(_write_into_input)
counting = with_side_effect(lambda network, images: network.calls.add_(1))
grad_off = GradientOff
grad_on = with_side_effect(lambda network, images: torch.set_grad_enabled(True))
other_threads = with_side_effect(lambda network, images: torch.set_num_threads(torch.get_num_threads() + 1))
other_type = with_side_effect(lambda network, images: torch.set_default_dtype(torch.float64))
other_seed = with_side_effect(lambda network, images: torch.manual_seed(5))
