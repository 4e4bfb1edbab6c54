"""The plots of RESULTS.md: SVG written by hand, so that the page needs nothing installed and the files stay small and comparable."""

import math
import statistics
from xml.sax.saxutils import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by those who see fewer colours
GREY, INK, FAINT = "#8a8a8a", "#222222", "#e2e2e2"


class Picture:
    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif" font-size="12" role="img"><title>{escape(title)}</title>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def line(self, x1, y1, x2, y2, colour=FAINT, width=1, dash=None):
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dashed}/>')

    def path(self, points, colour):
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')

    def dot(self, x, y, colour, radius=4):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def text(self, x, y, text, anchor="start", colour=INK, size=12, bold=False):
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"{weight}>{escape(text)}</text>')

    def made(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def short(number):
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:g}{name}"
    return f"{number:g}"


def rounded_up(number):
    """The next number that divides well."""
    step = 10 ** math.floor(math.log10(number or 1))
    return next(step * part for part in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * part >= number)


def operations(measurements, columns):
    """Requests a second of each operation, a row each, on a logarithmic line: what is a column, from the least to the most of the rounds.

    `measurements`: {operation: {column: requests a second of each round}}.
    """
    left, right, row, top = 230, 40, 26, 56
    width, height = 900, top + row * len(measurements) + 34
    picture = Picture(width, height, "Requests a second of each operation")
    every = [value for found in measurements.values() for values in found.values() for value in values if value > 0]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    high = max(high, low + 1)
    place = lambda value: left + (math.log10(max(value, 10**low)) - low) / (high - low) * (width - left - right)  # noqa: E731
    colours = {"bare": GREY, **dict(zip([column for column in columns if column != "bare"], COLOURS * 9))}
    picture.text(10, 20, "Requests a second (logarithmic); dots are medians, bars the spread of the rounds", bold=True)
    at = left
    for column in columns:
        picture.dot(at, 37, colours[column])
        picture.text(at + 9, 41, column)
        at += 26 + 7 * len(column)
    bottom = top + row * len(measurements)
    for power in range(low, high + 1):
        for part in range(1, 10):
            value = part * 10**power
            if value <= 10**high:
                picture.line(place(value), top, place(value), bottom, FAINT if part > 1 else "#bbbbbb", 0.5 if part > 1 else 1)
        picture.text(place(10**power), bottom + 16, short(10**power), "middle")
    for number, (what, found) in enumerate(measurements.items()):
        middle = top + row * number + row / 2
        picture.text(left - 10, middle + 4, what, "end")
        picture.line(left, middle, width - right, middle)
        for column in columns:
            if values := found.get(column):
                picture.line(place(min(values)), middle, place(max(values)), middle, colours[column], 3)
                picture.dot(place(statistics.median(values)), middle, colours[column])
    return picture.made()


def sizes(series):
    """A panel for each series: requests a second over how much is stored, from zero upwards."""
    across, panel, tall = 2, 440, 230
    rows = -(-len(series) // across)
    picture = Picture(across * panel + 20, rows * tall + 34, "Requests a second against how much is stored")
    picture.text(10, 20, "Requests a second against how much is stored: level is good; dashed is the bare server", bold=True)
    for number, one in enumerate(series):
        a_panel(picture, one, (number % across) * panel + 60, (number // across) * tall + 62, panel - 90, tall - 84)
    return picture.made()


def a_panel(picture, one, left, top, wide, tall):
    points, bare = one["points"], one["bare"]
    most = rounded_up(max(max(point["per_second"]) for point in points + ([bare] if bare else [])))
    first, last = (math.log10(points[index]["items"]) for index in (0, -1))
    across = lambda items: left + (math.log10(items) - first) / ((last - first) or 1) * wide  # noqa: E731
    up = lambda value: top + tall - value / most * tall  # noqa: E731
    picture.text(left, top - 10, one["what"], bold=True)
    for part in (0, 0.25, 0.5, 0.75, 1):
        picture.line(left, up(most * part), left + wide, up(most * part), FAINT if part else "#999999")
        picture.text(left - 6, up(most * part) + 4, short(most * part), "end", size=11)
    if bare:
        height = up(statistics.median(bare["per_second"]))
        picture.line(left, height, left + wide, height, GREY, 1.5, "5 4")
    places = []
    for point in points:
        x, values = across(point["items"]), point["per_second"]
        picture.line(x, up(min(values)), x, up(max(values)), COLOURS[0], 2)
        places.append((x, up(statistics.median(values))))
        picture.text(x, top + tall + 15, short(point["items"]), "middle", size=11)
    picture.path(places, COLOURS[0])
    for x, y in places:
        picture.dot(x, y, COLOURS[0], 3.5)
    picture.text(left + wide, top - 10, one["of"], "end", GREY, 11)
