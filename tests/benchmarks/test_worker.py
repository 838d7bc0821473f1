from micron_jax.benchmarks.worker import measure_in_turns, ratio


class Stub:
    """A side with a number of steps for each turn."""

    def __init__(self, *steps):
        self.steps, self.seconds = iter(steps), []

    def run(self, seconds):
        self.seconds.append(seconds)
        return {"steps": next(self.steps), "seconds": seconds, "peak_bytes": len(self.seconds)}


def test_rates_are_of_the_turns():
    slow, fast = Stub(1, 1, 2), Stub(2, 4, 8)
    sides = measure_in_turns([slow, fast], samples=8, rounds=3, seconds=2.0)
    assert [side["rates"] for side in sides] == [[4, 4, 8], [8, 16, 32]]
    assert [side["samples_per_second"] for side in sides] == [4, 16]
    assert [side["peak_bytes"] for side in sides] == [3, 3]
    assert ratio(*sides) == 0.25
    assert slow.seconds == [2.0] * 3
