"""A lineage as a drawing: columns of boxes from left to right, and lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thinmesh.planes.product.lineage import STEPS
from thinmesh.planes.product.model import Lineage, Relative

BOX_WIDTH, BOX_HEIGHT = 160, 44
_COLUMN_GAP, _ROW_GAP = 48, 12
_EDGE = 2  # around the drawing, for the boxes' lines
_LETTERS = 18  # that a box has room for, all of one width
_MORE_HEIGHT = 24


@dataclass(frozen=True, slots=True)
class Box:
    """A product's place; `label` is its name, cut where it is too long for the box."""

    relative: Relative
    x: int
    y: int
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one box to another, as a path of SVG."""

    source: str
    target: str
    path: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The whole drawing. `more` are the places (x, y) of the words that there are more products."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]
    more: tuple[tuple[int, int], ...]


def graph_of(lineage: Lineage) -> Graph:
    """Lay a lineage out: inputs left of the product, outputs right, each column in the middle of the height.

    What is both an input and an input of one stands further left, so that lines go from left to right where they can.
    """
    columns = _columns(lineage)
    heights = {steps: _height(len(found), steps in lineage.more) for steps, found in columns.items()}
    height = max(heights.values())
    boxes, more = [], []
    for number, (steps, found) in enumerate(columns.items()):
        x = _EDGE + number * (BOX_WIDTH + _COLUMN_GAP)
        y = _EDGE + (height - heights[steps]) // 2
        for relative in found:
            boxes.append(Box(relative, x, y, _label(relative.name)))
            y += BOX_HEIGHT + _ROW_GAP
        if steps in lineage.more:
            more.append((x + BOX_WIDTH // 2, y + _MORE_HEIGHT // 2))
    places = {box.relative.name: box for box in boxes}
    lines = tuple(
        Line(source, target, _path(places[source], places[target]))
        for source, target in lineage.edges
        if source != target
    )
    width = len(columns) * (BOX_WIDTH + _COLUMN_GAP) - _COLUMN_GAP + 2 * _EDGE
    return Graph(width, height + 2 * _EDGE, tuple(boxes), lines, tuple(more))


def _columns(lineage: Lineage) -> dict[int, Sequence[Relative]]:
    """Give the products of each column, from the left, in the order of their neighbours: fewer lines cross."""
    places = _places(lineage)
    found: dict[int, list[Relative]] = {}
    for relative in lineage.relatives:
        found.setdefault(places[relative.name], []).append(relative)
    order = {lineage.product: 0.0}
    for steps in (-1, 1, -2, 2):
        inner = steps - (1 if steps > 0 else -1)
        near = {relative.name for relative in found.get(inner, ())}
        column = found.get(steps, [])
        column.sort(key=lambda one: (_middle(one.name, near, lineage, order), one.name))
        order |= {relative.name: float(place) for place, relative in enumerate(column)}
    return dict(sorted(found.items()))


def _places(lineage: Lineage) -> dict[str, int]:
    """Give each product its column: its steps, or one further out where that keeps an edge within a side apart."""
    places = {relative.name: relative.steps for relative in lineage.relatives}
    steps = dict(places)
    for _ in range(STEPS):
        for source, target in lineage.edges:
            if steps[source] < 0 and steps[target] < 0 and places[source] >= places[target]:
                places[source] = max(places[target] - 1, -STEPS)
            elif steps[source] > 0 and steps[target] > 0 and places[target] <= places[source]:
                places[target] = min(places[source] + 1, STEPS)
    return places


def _middle(name: str, near: set[str], lineage: Lineage, order: dict[str, float]) -> float:
    joined = [other for edge in lineage.edges if name in edge for other in edge if other in near]
    return sum(order[other] for other in joined) / len(joined) if joined else 0.0


def _height(boxes: int, more: bool) -> int:
    return boxes * (BOX_HEIGHT + _ROW_GAP) - _ROW_GAP + (_MORE_HEIGHT if more else 0)


def _path(source: Box, target: Box) -> str:
    """Draw from a box's side to the near side of another; within a column, around on the right."""
    y1, y2 = source.y + BOX_HEIGHT // 2, target.y + BOX_HEIGHT // 2
    if target.x == source.x:
        right = source.x + BOX_WIDTH
        return f"M{right} {y1}C{right + _COLUMN_GAP // 2} {y1} {right + _COLUMN_GAP // 2} {y2} {right} {y2}"
    onwards = target.x > source.x
    x1, x2 = (source.x + BOX_WIDTH, target.x) if onwards else (source.x, target.x + BOX_WIDTH)
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"


def _label(name: str) -> str:
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
