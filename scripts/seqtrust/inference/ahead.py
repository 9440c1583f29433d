"""Reading ahead in a thread, and results that are fetched while the device goes on.

That is for a GPU, which computes while the processor reads. On a CPU all granted threads compute,
and another one that reads would only take their time.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch

T = TypeVar("T")


def ahead(items: Iterator[T], size: Callable[[T], int], budget: int) -> Generator[T, None, None]:
    """The same items, made in a thread while the caller works on earlier ones.

    An exception of `items` is raised where the item would have come. The thread has ended when
    the iterator ends or is closed (`contextlib.closing`).

    Args:
        items: made one after the other, all in the thread.
        size: of an item, bytes.
        budget: bytes of items that wait to be taken; one item may wait whatever its size.
    """
    reader = _Reader(items, size, budget)
    thread = threading.Thread(target=reader.run, name="reader", daemon=True)
    thread.start()
    try:
        yield from reader.taken()
    finally:
        reader.stop()
        thread.join()


class _Reader(Generic[T]):
    """Items between the thread that makes them and the one that takes them."""

    def __init__(self, items: Iterator[T], size: Callable[[T], int], budget: int) -> None:
        self._items, self._size, self._budget = items, size, budget
        self._changed = threading.Condition()
        self._waiting: deque[T] = deque()
        self._bytes = 0
        self._error: BaseException | None = None
        self._over = self._stopped = False

    def run(self) -> None:
        """Make items until there are no more, or nobody wants them."""
        try:
            for item in self._items:
                if not self._offered(item):
                    break
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _offered(self, item: T) -> bool:
        """Wait for room and leave the item there; false if nobody wants it."""
        size = self._size(item)
        with self._changed:
            while self._waiting and self._bytes + size > self._budget and not self._stopped:
                self._changed.wait()
            if not self._stopped:
                self._waiting.append(item)
                self._bytes += size
                self._changed.notify_all()
            return not self._stopped

    def taken(self) -> Iterator[T]:
        """The items in their order."""
        while True:
            with self._changed:
                while not self._waiting and not self._over:
                    self._changed.wait()
                if not self._waiting:
                    break
                item = self._waiting.popleft()
                self._bytes -= self._size(item)
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """No more items are wanted."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()


def on_device(codes: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Codes on a device; the transfer to a GPU does not wait for what it computes."""
    shown = torch.from_numpy(codes)
    if device.type == "cpu":
        return shown
    return shown.pin_memory().to(device, non_blocking=True)


class Fetched:
    """Values on their way from a device."""

    def __init__(self, values: Mapping[str, torch.Tensor]) -> None:
        """Start the transfer, which does not wait for what is launched later."""
        self._values: dict[str, torch.Tensor] = {}
        self._there: torch.cuda.Event | None = None
        for name, value in values.items():
            if value.device.type == "cpu":
                self._values[name] = value
                continue
            pinned = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
            self._values[name] = pinned.copy_(value, non_blocking=True)
        if any(value.device.type != "cpu" for value in values.values()):
            self._there = torch.cuda.Event()
            self._there.record()

    def get(self) -> dict[str, npt.NDArray[np.float32]]:
        """The values, once they are there."""
        if self._there is not None:
            self._there.synchronize()
        return {name: value.numpy() for name, value in self._values.items()}
