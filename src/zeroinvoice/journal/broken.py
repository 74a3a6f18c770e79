"""What is raised where the journal is not what was written."""


class Broken(Exception):
    """Names the first position at which it shows."""

    def __init__(self, position: int, why: str) -> None:
        super().__init__(f"position {position}: {why}")
        self.position = position
