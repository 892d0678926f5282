"""What a fan-out gives: a list that knows its items; a value like others, which agents return and pass on."""

from typing import Any


class FanOutResults(list[Any]):
    """Results in the order of the items; with `on_error="collect"` the errors stand in their places.

    `ok` has the results alone, `failed` pairs of item and error, `items` what was fanned out over.
    """

    def __init__(self, items: list[Any], outcomes: list[Any]) -> None:
        super().__init__(outcomes)
        self.items = items

    @property
    def ok(self) -> list[Any]:
        """The results of the items that succeeded."""
        return [o for o in self if not isinstance(o, BaseException)]

    @property
    def failed(self) -> list[tuple[Any, BaseException]]:
        """Each item that failed, with its error."""
        return [(item, o) for item, o in zip(self.items, self, strict=True) if isinstance(o, BaseException)]
