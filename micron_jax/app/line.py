"""The line of requests: received in the order of their arrival, computed one by one."""

import asyncio
import dataclasses
import enum
from collections.abc import AsyncIterator, Callable


class Full(Exception):
    """There are too many requests in the line."""


class State(enum.Enum):
    """The states of a request, one after the other."""

    WAITING = "its body is unread"
    RECEIVING = "its body comes in"
    READY = "its body is there"
    COMPUTING = "its result is made"
    ANSWERING = "its result goes out"


@dataclasses.dataclass(eq=False)
class Ticket:
    """The place of a request in the line, and the bytes that it takes in the temporary folder."""

    size: int
    state: State = State.WAITING


class Line:
    """Requests from their head to the end of their answer, of one event loop.

    Few bytes at a time are received; requests behind them wait with their bodies unread. One
    computes at a time, the first of those that are there whole: a slow sender holds up nobody.
    """

    def __init__(self, *, most: int, most_bytes: float):
        """`most` requests stand in it, and `most_bytes` of them in the temporary folder."""
        self._most, self._most_bytes = most, most_bytes
        self._tickets: list[Ticket] = []  # in the order of their arrival
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._tickets)

    def join(self, size: int) -> Ticket:
        """Adds a request whose body has `size` bytes; Full if the line is too long."""
        if len(self._tickets) >= self._most:
            raise Full
        self._tickets.append(Ticket(size))
        return self._tickets[-1]

    def leave(self, ticket: Ticket) -> None:
        """Removes a request, which is answered or given up."""
        self._tickets.remove(ticket)
        self._notify()

    def place(self, ticket: Ticket) -> int:
        """The number of requests that are computed before this one."""
        before = self._tickets[: self._tickets.index(ticket)]
        return sum(each.state != State.ANSWERING for each in before)

    def crowded(self) -> bool:
        """True while a request waits with its body unread."""
        return any(ticket.state == State.WAITING for ticket in self._tickets)

    async def admission(self, ticket: Ticket) -> AsyncIterator[int]:
        """Yields the place whenever it changes, until the body may be read."""
        async for place in self._places(ticket, self._may_be_read):
            yield place
        self._enter(ticket, State.RECEIVING)

    async def turn(self, ticket: Ticket) -> AsyncIterator[int]:
        """Yields the place of a received request whenever it changes, until it may compute."""
        self._enter(ticket, State.READY)
        async for place in self._places(ticket, self._may_compute):
            yield place
        self._enter(ticket, State.COMPUTING)

    def computed(self, ticket: Ticket, size: int) -> None:
        """Lets the next request compute; `size` are the bytes of this one's result."""
        ticket.size = size
        self._enter(ticket, State.ANSWERING)

    def _may_be_read(self, ticket: Ticket) -> bool:
        first = next(each for each in self._tickets if each.state == State.WAITING)
        used = sum(each.size for each in self._tickets if each.state != State.WAITING)
        return first is ticket and (not used or used + ticket.size <= self._most_bytes)

    def _may_compute(self, ticket: Ticket) -> bool:
        states = [each.state for each in self._tickets]
        first = self._tickets[states.index(State.READY)]
        return first is ticket and State.COMPUTING not in states

    async def _places(self, ticket: Ticket, until: Callable[[Ticket], bool]) -> AsyncIterator[int]:
        last = None
        while not until(ticket):
            if (place := self.place(ticket)) == last:
                await self._changed.wait()
            else:
                last = place
                yield place

    def _enter(self, ticket: Ticket, state: State) -> None:
        ticket.state = state
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
