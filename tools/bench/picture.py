"""Horizontal bars, as SVG."""
from xml.sax.saxutils import escape

COLORS = ["#1f6f8b", "#e08e45"]
WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 260, 70, 60, 12, 10


def write(path, title, groups):
    """groups: (label, {name: value}); a bar for each value, from 0, with a line at 1."""
    names = list(dict.fromkeys(name for _, values in groups for name in values))
    longest = max(value for _, values in groups for value in values.values())
    scale = (WIDTH - LEFT - RIGHT) / longest
    y, parts = TOP, []
    for label, values in groups:
        height = BAR * max(1, len(values))
        parts.append(f'<text x="{LEFT - 8}" y="{y + height / 2 + 4:.1f}" text-anchor="end">{escape(label)}</text>')
        for name, value in values.items():
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR - 2}" '
                         f'fill="{COLORS[names.index(name)]}"/>')
            parts.append(f'<text x="{LEFT + value * scale + 5:.1f}" y="{y + 9}">{value:.2f}</text>')
            y += BAR
        y += GAP
    for k, name in enumerate(names):
        parts.append(f'<rect x="{LEFT + 110 * k}" y="34" width="10" height="10" fill="{COLORS[k]}"/>')
        parts.append(f'<text x="{LEFT + 15 + 110 * k}" y="43">{escape(name)}</text>')
    parts.append(f'<line x1="{LEFT + scale:.1f}" x2="{LEFT + scale:.1f}" y1="{TOP - 6}" y2="{y}" stroke="#444"/>')
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}" '
                   f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
                   f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n")
