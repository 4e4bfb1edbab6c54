"""RESULTS.md and its plots, made from results.json alone."""

import os
import statistics

import plots
from record import read


def operations(cases):
    """{operation: {column: requests a second of each round}} of the cases direct and router, which share the bare server and the peers."""
    found = {}
    for name in ("router", "direct"):
        for one in cases.get(name, {}).get("measurements", ()):
            found.setdefault(one["what"], {})[one["column"]] = one["per_second"]
    # In the order they were measured: the case direct has them all.
    order = [one["what"] for name in ("direct", "router") for one in cases.get(name, {}).get("measurements", ())]
    return {what: found[what] for what in dict.fromkeys(order)}


def columns(measured):
    known = ["bare", "direct", "router"]
    return [*known, *sorted({column for found in measured.values() for column in found} - set(known))]


def told(rounds):
    values = rounds["per_second"]
    return f"{statistics.median(values):,.0f}/s ({min(values):,.0f} to {max(values):,.0f}), p50 {statistics.median(rounds['p50_us']):,.0f} µs"


def conditions(cases):
    last = max(cases.values(), key=lambda case: case["at"])
    peers = {name for case in cases.values() for name in case["peers"]}
    text = (
        f"By `scripts/bench`, last on {last['at'][:10]}: {last['processors']} processors, which wrk shares; {last['connections']} connections (8 for 8 MiB bodies "
        f'sent), {last["seconds"]:g} s a measurement, {last["rounds"]} interleaved rounds, medians, in parentheses the least and the most. "bare" is an axum server that '
        "reads the body and answers a fixed one (`shared/host/examples/bare_axum.rs`). The conditions of each case stand at the end, every round in "
        "[results.json](results.json)."
    )
    if peers:
        text += f" Peers, given by `--peer` and measured in the same rounds: {', '.join(sorted(peers))}."
    return text


def rows(cases):
    yield "| what | measured | wanted | met | |"
    yield "|---|---|---|---|---|"
    for case in cases.values():
        for one in case["rows"]:
            value = "" if one["value"] is None else f"{one['value']:,} {one['unit']}"
            met = {True: "yes", False: "**no**", None: ""}[one["met"]]
            detail = one["detail"].replace("|", "\\|").replace("\n", " ")
            yield f"| {one['what']} | {value} | {one['wanted'] or ''} | {met} | {detail} |"


def series_table(series):
    yield "| what | stored | measured |"
    yield "|---|---|---|"
    for one in series:
        for point in one["points"]:
            yield f"| {one['what']} | {point['items']:,} {one['of']} | {told(point)} |"
        if one["bare"]:
            yield f"| {one['what']} | the bare server | {told(one['bare'])} |"


def runs(cases):
    yield "| case | when (UTC) | build | seconds | rounds | load average | took |"
    yield "|---|---|---|---|---|---|---|"
    for name, case in cases.items():
        when, took = case["at"][:16].replace("T", " "), f"{case['took_seconds']:,} s"
        yield f"| {name} | {when} | {case['build']} | {case['seconds']:g} | {case['rounds']} | {case['load_average']} | {took} |"


def write(folder):
    """Writes the page and the plots; the page's text."""
    cases = read(folder)["cases"]
    if not cases:
        raise SystemExit("nothing is measured yet: there is no results.json")
    measured, series = operations(cases), [one for case in cases.values() for one in case["series"]]
    lines = ["# Measured", "", conditions(cases), ""]
    if measured:
        put(folder, "operations.svg", plots.operations(measured, columns(measured)))
        lines += ["![Requests a second of each operation](operations.svg)", ""]
    lines += [*rows(cases), ""]
    if series:
        put(folder, "sizes.svg", plots.sizes(series))
        lines += ["## Cost against size", "", "![Requests a second against how much is stored](sizes.svg)", "", *series_table(series), ""]
    lines += ["## Runs", "", *runs(cases)]
    text = "\n".join(lines) + "\n"
    put(folder, "RESULTS.md", text)
    return text


def put(folder, name, text):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)
