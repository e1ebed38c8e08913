"""The processes that train one policy together, as torchrun starts them; ordinarily there is only this one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Self, TypeVar

import torch
from torch import distributed, nn

T = TypeVar("T")

_PATIENCE = timedelta(hours=2)
"""For which the others wait while the first builds the cache or measures."""


class Team:
    """This process among those that train together.

    Each learns from its share of every batch, and all make the same step with the mean of their gradients. The first
    decides and writes; the others follow.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Find out from the environment that torchrun gives; without it this process is alone."""
        self.size, self.rank = int(environment.get("WORLD_SIZE", "1")), int(environment.get("RANK", "0"))
        self.beside = int(environment.get("LOCAL_WORLD_SIZE", "1"))
        """How many of them are on this machine."""
        self.number_here = int(environment.get("LOCAL_RANK", "0"))
        """Of this one among those on this machine; its graphics card has the same."""

    @classmethod
    def alone(cls) -> Self:
        """A team of this process only."""
        return cls({})

    @classmethod
    def of_torchrun(cls) -> Self:
        """The team that torchrun started this process for, if it did."""
        return cls(os.environ)

    @property
    def first(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.rank == 0

    @contextmanager
    def together(self, device: torch.device) -> Iterator[None]:
        """Meet the others, and part in the end."""
        if self.size == 1:
            yield
            return
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    @contextmanager
    def one_ahead(self) -> Iterator[None]:
        """Let the first do it before the others, which then find it done."""
        if self.size > 1 and not self.first:
            distributed.barrier()
        yield
        if self.size > 1 and self.first:
            distributed.barrier()

    def told(self, value: T) -> T:
        """The first one's value, in all of them."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def average_gradients(self, network: nn.Module) -> None:
        """Give each the mean of all their gradients."""
        if self.size == 1:
            return
        gradients = [value.grad for value in network.parameters() if value.grad is not None]
        flat = torch.cat([each.flatten() for each in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, torch.split(flat, [each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))
