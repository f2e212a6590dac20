"""Lines in an SVG, both axes from zero: enough to see how something grows."""

from html import escape

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ("#c2410c", "#1d4ed8", "#15803d")


def lines(title, x_label, y_label, curves):
    """`curves` is a list of points (x, y) by name."""
    points = [point for curve in curves.values() for point in curve]
    x_max, y_max = (round_up(max(point[axis] for point in points)) for axis in (0, 1))
    across = lambda x: LEFT + x / x_max * (WIDTH - LEFT - RIGHT)
    up = lambda y: HEIGHT - BOTTOM - y / y_max * (HEIGHT - TOP - BOTTOM)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(WIDTH / 2, 20, title, size=14),
        text(WIDTH / 2, HEIGHT - 10, x_label),
        f'<g transform="rotate(-90 16 {HEIGHT / 2})">{text(16, HEIGHT / 2, y_label)}</g>',
    ]
    for step in range(6):
        x, y = x_max * step / 5, y_max * step / 5
        parts.append(f'<path d="M{LEFT} {up(y):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, up(y) + 4, short(y), anchor="end"))
        parts.append(text(across(x), HEIGHT - BOTTOM + 18, short(x)))
    for colour, (at, (name, curve)) in zip(COLOURS, enumerate(curves.items())):
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in sorted(curve))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>' for x, y in curve)
        parts.append(text(LEFT + 12, TOP + 14 + 16 * at, name, anchor="start", colour=colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def text(x, y, words, anchor="middle", size=12, colour="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(words)}</text>'


def round_up(value):
    """To what an axis may end with."""
    size = 10 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    return next((size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= value), value) or 1


def short(value):
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}" if value == int(value) else f"{value:.2g}"


def slope(points):
    """Of the straight line that fits best, and what it starts from."""
    n = len(points)
    mean_x, mean_y = (sum(column) / n for column in zip(*points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return rise, mean_y - rise * mean_x
