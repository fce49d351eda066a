"""Bar charts as SVG, readable in light and dark."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from .model import OURS

_LEFT, _WIDE, _BAR, _GAP = 150, 420, 22, 10


def bars(title: str, figure: str, sides: dict[str, dict[str, float]], shown: Callable[[float], str]) -> str:
    """Draw one figure of every side that has it, a bar each; `shown` writes a value with its unit."""
    values = {side: figures[figure] for side, figures in sides.items() if figure in figures}
    most = max(values.values(), default=0) or 1
    height = 34 + len(values) * (_BAR + _GAP)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 90}" height="{height}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="13">',
        "<style>text{fill:#24292f}.ours{fill:#0969da}.other{fill:#8c959f}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.ours{fill:#4493f8}.other{fill:#6e7681}}</style>",
        f'<text x="0" y="16" font-weight="600">{escape(title)}: {escape(figure)}</text>',
    ]
    for number, (side, value) in enumerate(values.items()):
        top = 30 + number * (_BAR + _GAP)
        kind = "ours" if side == OURS else "other"
        drawn += [
            f'<text x="{_LEFT - 8}" y="{top + 16}" text-anchor="end">{escape(side)}</text>',
            f'<rect class="{kind}" x="{_LEFT}" y="{top}" height="{_BAR}" rx="3"'
            f' width="{max(2, value / most * _WIDE):.0f}"/>',
            f'<text x="{_LEFT + max(2, value / most * _WIDE) + 6:.0f}" y="{top + 16}">{escape(shown(value))}</text>',
        ]
    return "\n".join([*drawn, "</svg>"]) + "\n"
