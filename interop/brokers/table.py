"""The table of what came of it, for a terminal and for docs/brokers.md."""

import collections
import datetime

# What one scenario came to in one version, as `mqtt-interop` prints it.
Row = collections.namedtuple("Row", "verdict version scenario seen note")
Result = collections.namedtuple("Result", "rows passed")

VERSIONS = ["MQTT 3.1", "MQTT 3.1.1", "MQTT 5.0"]
SIGNS = {"ok": "ok", "not offered": "–", "broker's fault": "fault", "broker's fault at times": "at times", "FAILED": "FAILED"}
BEGIN, END = "<!-- table: written by ci/brokers --page -->", "<!-- end of the table -->"


def text(results):
    """Columns that line up."""
    rows = grid(results)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def grid(results):
    header = ["scenario"] + [kind.name for kind in results]
    rows = [header]
    for scenario in scenarios(results):
        rows.append([scenario] + [cell(result, scenario) for result in results.values()])
    return rows


def scenarios(results):
    """In the order of the one that has the most."""
    names = {}
    for result in sorted(results.values(), key=lambda result: -len(result.rows)):
        names.update(dict.fromkeys(row.scenario for row in result.rows))
    return list(names)


def cell(result, scenario):
    """`ok` alone where it is so in each version that the broker has, and else which."""
    by_sign = collections.defaultdict(list)
    for row in result.rows:
        if row.scenario == scenario:
            by_sign[SIGNS[row.verdict]].append(row.version.removeprefix("MQTT "))
    if len(by_sign) == 1 and scenario != "connecting":
        return next(iter(by_sign))
    return ", ".join(f"{sign} ({' '.join(versions)})" for sign, versions in by_sign.items())


def write_page(page, results):
    """Between the marks. What is declared is listed behind the table, with what was seen."""
    rows = grid(results)
    lines = [BEGIN, "", f"Run on {datetime.date.today():%Y-%m-%d}.", ""]
    lines += ["| | " + " | ".join(f"{kind.name} {kind.version()}" for kind in results) + " |", "|---" * len(rows[0]) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows[1:]]
    for kind, result in results.items():
        lines += ["", f"### {kind.name} {kind.version()}", "", kind.configured, ""]
        declared = collections.defaultdict(list)
        for row in result.rows:
            if row.verdict != "ok":
                declared[row.verdict, row.scenario, row.note].append(row)
        if declared:
            lines += ["| scenario | | versions | what was seen | what that is |", "|---|---|---|---|---|"]
        for (verdict, scenario, note), group in declared.items():
            versions = ", ".join(row.version.removeprefix("MQTT ") for row in group)
            lines.append(f"| {scenario} | {verdict} | {versions} | {group[0].seen} | {note} |")
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(before + "\n".join(lines) + "\n\n" + END + after)
