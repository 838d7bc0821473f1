"""A place in the data, without the data."""


class Place:
    """Stands for the iterator whose place a checkpoint saves."""

    def __init__(self):
        self.batch = 0

    def get_state(self):
        return {"batch": self.batch}

    def set_state(self, state):
        self.batch = state["batch"]
