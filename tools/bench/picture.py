"""Horizontal bars of ratios, as SVG: from 1, to the right if they are larger, on a logarithmic scale."""
import math
from xml.sax.saxutils import escape

COLORS = ["#1f6f8b", "#e08e45"]
WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 250, 60, 70, 12, 10


def write(path, title, groups):
    """groups: (label, {name: ratio})."""
    names = list(dict.fromkeys(name for _, ratios in groups for name in ratios))
    every = [ratio for _, ratios in groups for ratio in ratios.values()]
    low, high = min(every + [0.8]) * 0.9, max(every + [1.25])

    def x(ratio):
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / low) / math.log(high / low)

    bottom = TOP + sum(BAR * max(1, len(ratios)) + GAP for _, ratios in groups)
    parts = []
    for k, name in enumerate(names):
        parts.append(f'<rect x="{LEFT + 130 * k}" y="30" width="10" height="10" fill="{COLORS[k]}"/>')
        parts.append(f'<text x="{LEFT + 15 + 130 * k}" y="39">beside {escape(name)}</text>')
    tick = 1
    while tick <= high:
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 8}" y2="{bottom}" '
                     f'stroke="{"#444" if tick == 1 else "#ccc"}"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{TOP - 12}" text-anchor="middle">{tick}</text>')
        tick *= 2
    y = TOP
    for label, ratios in groups:
        middle = y + BAR * max(1, len(ratios)) / 2
        parts.append(f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for name, ratio in ratios.items():
            left, right = sorted((x(1), x(ratio)))
            parts.append(f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{BAR - 2}" '
                         f'fill="{COLORS[names.index(name)]}"/>')
            parts.append(f'<text x="{right + 5:.1f}" y="{y + 9}">{ratio:.2f}</text>')
            y += BAR
        y += GAP
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom + 10}" '
                   'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
                   f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n")
