"""What a run has found, kept as conformance/bench/results.json, from which page.py makes RESULTS.md.

The file holds one entry a case, with the conditions it was measured under: a run replaces the entries of its own cases and
leaves the others. Its shape: `{"cases": {NAME: {"at", "build", "processors", "load_average", "seconds", "rounds",
"connections", "scale", "took_seconds", "peers": {NAME: URL}, "rows": [{"what", "value", "unit", "wanted", "met", "detail"}],
"measurements": [{"what", "column", "per_second": [of each round], "p50_us": [..], "p99_us": [..]}],
"series": [{"what", "of", "points": [{"items", "per_second", "p50_us", "p99_us"}], "bare": null or such lists}]}}}`.
"""

import datetime
import json
import os
import statistics
import sys
import time

from programs import CONNECTIONS, PROGRAMS, ROUNDS, SCALE, SECONDS, Failed

ORDER = ("direct", "router", "engines", "scale", "reopen", "rules", "latency", "process")


def log(text):
    print(text, file=sys.stderr, flush=True)


def spread(values):
    return f"{min(values):,.0f} to {max(values):,.0f}"


def median(results, member="per_second"):
    return statistics.median(result[member] for result in results)


def rounds_of(results):
    return {"per_second": [round(r["per_second"], 1) for r in results], **{name: [r[name] for r in results] for name in ("p50_us", "p99_us")}}


def interleaved(runs, optional=()):
    """Each of the runs in turn, ROUNDS times: what else the machine does hits all alike. Results by name, and why an optional one has none."""
    found, failed = {name: [] for name in runs}, {}

    def turn(name, seconds):
        if name in failed:
            return
        try:
            result = runs[name](seconds)
            if seconds is None and not result["requests"]:
                raise Failed("not one answer in the time of a measurement")
        except Failed as error:
            if name not in optional:
                raise
            failed[name] = str(error)
            del found[name]
            return
        if seconds is None:
            found[name].append(result)

    for name in runs:
        turn(name, 1)  # warm
    for _ in range(ROUNDS):
        for name in runs:
            turn(name, None)
    return found, failed


class Case:
    """The findings of one case. What is noted first was measured first."""

    def __init__(self, name, peers):
        self.name, self.started, self.peers = name, time.monotonic(), peers
        self.rows, self.measurements, self.series_found = [], [], []

    def note(self, what, value, unit, wanted=None, met=None, detail=""):
        self.rows.append({"what": what, "value": value, "unit": unit, "wanted": wanted, "met": met, "detail": detail})
        log(f"  {what}: {value} {unit} {detail}")

    def against(self, what, found, one, other, wanted=None, unit=None):
        """The speed of `one` as a part of the speed of `other`, in the median of the rounds."""
        part = statistics.median(a["per_second"] / b["per_second"] for a, b in zip(found[one], found[other]))
        of = [f"{median(found[name]):,.0f}/s ({spread([r['per_second'] for r in found[name]])})" for name in (one, other)]
        met = None if wanted is None else part >= wanted
        self.note(what, round(part, 2), unit or "of " + other, None if wanted is None else f"≥ {wanted:.2f}", met, " of ".join(of))

    def measured(self, what, found):
        self.measurements += [{"what": what, "column": column, **rounds_of(results)} for column, results in found.items()]

    def series(self, what, of, points, bare=None):
        """Cost against size: `points` are (how many there are, results of the rounds), `of` says how many of what."""
        told = [{"items": items, **rounds_of(results)} for items, results in points]
        self.series_found.append({"what": what, "of": of, "points": told, "bare": bare and rounds_of(bare)})

    def entry(self):
        return {
            "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "build": os.path.basename(PROGRAMS.rstrip("/")),
            "processors": os.cpu_count(), "load_average": round(os.getloadavg()[1], 1), "seconds": SECONDS, "rounds": ROUNDS,
            "connections": CONNECTIONS, "scale": SCALE, "took_seconds": round(time.monotonic() - self.started), "peers": self.peers,
            "rows": self.rows, "measurements": self.measurements, "series": self.series_found,
        }


def read(folder):
    try:
        with open(os.path.join(folder, "results.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"cases": {}}


def keep(folder, cases):
    """Writes after every case, so that a later one that fails loses nothing."""
    kept = read(folder)["cases"]
    kept.update({case.name: case.entry() for case in cases})
    ordered = {name: kept[name] for name in ORDER if name in kept}
    beside = os.path.join(folder, "results.json.new")
    with open(beside, "w") as file:
        json.dump({"cases": ordered}, file, indent=1, ensure_ascii=False)
        file.write("\n")
    os.replace(beside, os.path.join(folder, "results.json"))
