"""The tables, the targets and the charts, from results.json."""
from __future__ import annotations

import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Callable

from stores import BY_NAME, CACHEBOX, LIMIT, OPERATIONS, ORIGIN, OURS, STORES, WITH_VALUES

# The origin's own table, from its description: keys, write in us, bytes, read in us.
PUBLISHED = [
    (100_000, 2.713226, 22_466_045, 4.922529841),
    (500_000, 2.720855647, 85_795_717, 5.634520947),
    (1_000_000, 2.689814867, 166_268_287, 5.540252914),
    (5_000_000, 3.165717206, 772_098_381, 5.834589481),
    (10_000_000, 2.93393468, 1_539_871_592, 7.70696725),
]
ROWS = {"bytes": "bytes a key", **OPERATIONS}
# The musts against the origin's design: operation, what is divided, limit, and whether it is a least or a most.
MUSTS = [
    ("get", "times as fast as the origin's design", 2.5, True),
    ("put", "times as fast as the origin's design", 1.3, True),
    ("bytes", "of the origin's design's bytes", 0.75, False),
]
MUST_CACHEBOX = 1.05


def keys(n: int) -> str:
    for unit, letter in ((10**6, "M"), (10**3, "k")):
        if n >= unit and n % (unit // 10) == 0:
            return f"{n / unit:g}{letter}"
    return str(n)


def minutes(seconds: float) -> str:
    seconds = max(seconds, 0)
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def threaded(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


class Figures:
    """Each row's figures by round: nanoseconds an operation without the loop around it, or bytes a key."""

    def __init__(self, data: dict) -> None:
        self.settings, self.cells = data["settings"], data["cells"]
        self.values: dict[tuple, dict[int, float]] = {}
        self.ended: dict[tuple, str] = {}  # why a store has no figures, or not all
        self.wrong: dict[tuple, str] = {}
        for cell in self.cells:
            at = (cell["store"], cell["size"], cell["threads"])
            for op, got in cell["ops"].items():
                if op == "bytes":
                    value = got["bytes"]
                else:
                    value = got["ns"] - cell["empty"]["values" if op in WITH_VALUES else "keys"]
                    if got["wrong"]:
                        self.wrong[(*at, op)] = f"{got['wrong']} of {got['checked']} answers looked at were wrong"
                self.values.setdefault((*at, op), {})[cell["round"]] = value
            if "over_s" in cell:
                self.ended[at] = f"over {cell['over_s']} s"
            elif "skipped" in cell:
                self.ended[at] = f"SKIPPED: {cell['skipped']}"
            elif "failed" in cell:
                self.ended[at] = f"FAILED: {cell['failed']}"

    @property
    def stores(self) -> list[str]:
        skipped = self.settings["skipped"]
        return [s.name for s in STORES if s.name in skipped or any(c["store"] == s.name for c in self.cells)]

    def value(self, store: str, size: int, threads: int, op: str) -> float | None:
        found = self.values.get((store, size, threads, op))
        return median(found.values()) if found else None

    def ratios(self, store: str, size: int, threads: int, op: str, ours_name: str = OURS) -> list[float]:
        """Ours over theirs, each formed within a round."""
        ours = self.values.get((ours_name, size, threads, op), {})
        theirs = self.values.get((store, size, threads, op), {})
        return [ours[r] / theirs[r] for r in sorted(ours.keys() & theirs.keys())]

    def absent(self, store: str, size: int, threads: int, op: str) -> str:
        """What stands in the table where there is no figure."""
        known = BY_NAME[store]
        if store in self.settings["skipped"]:
            return "SKIPPED"
        if op not in known.statements and op != "bytes":
            return "–"
        if size > (known.most_keys or size):
            return "not run"
        return self.ended.get((store, size, threads), "not measured").split(":")[0]


def quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def verdict(values: list[float], limit: float, least: bool) -> str:
    middle = median(values)
    low, high = quartiles(values)
    word = "met" if (middle >= limit if least else middle <= limit) else "**missed**"
    return word + (" (quartiles on both sides)" if low < limit < high else "")


def targets(f: Figures) -> list[str]:
    lines = [
        "| must | threads | keys | measured | quartiles | | a dict alone |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for op, words, limit, least in MUSTS:
        sign = "≥" if least else "≤"
        for threads in f.settings["threads"]:
            for size in f.settings["sizes"]:
                row = f"| {op}: {sign} {limit} {words} | {threads} | {keys(size)} |"
                found = f.ratios(ORIGIN, size, threads, op)
                if not found:
                    lines.append(f"{row} – | – | not measured | – |")
                    continue
                alone = f.ratios(ORIGIN, size, threads, op, LIMIT)
                if least:
                    found, alone = [1 / ratio for ratio in found], [1 / ratio for ratio in alone]
                low, high = quartiles(found)
                could = f"{median(alone):.2f}" if alone else "–"
                lines.append(
                    f"{row} {median(found):.2f} | {low:.2f}–{high:.2f} | {verdict(found, limit, least)} | {could} |"
                )
    rows = [
        (median(found), op, size, threads)
        for threads in f.settings["threads"]
        for size in f.settings["sizes"]
        for op in ROWS
        if (found := f.ratios(CACHEBOX, size, threads, op))
    ]
    row = f"| median over all rows: ≤ {MUST_CACHEBOX} of {CACHEBOX}'s figure | all | all |"
    if not rows:
        return [*lines, f"{row} – | – | not measured | – |"]
    found = [r[0] for r in rows]
    low, high = quartiles(found)
    # The quartiles are of the rows here, not of rounds: how far they lie apart says nothing of noise.
    word = "met" if median(found) <= MUST_CACHEBOX else "**missed**"
    lines.append(f"{row} {median(found):.2f} | {low:.2f}–{high:.2f} of {len(rows)} rows | {word} | – |")
    behind = [r for r in sorted(rows, reverse=True) if r[0] > MUST_CACHEBOX]
    if behind:
        worst = "; ".join(f"{ROWS[op]}, {keys(n)}, {threaded(t)}: {ratio:.2f}" for ratio, op, n, t in behind[:8])
        lines += ["", f"Rows in which {CACHEBOX} is ahead by more than that: {len(behind)} of {len(rows)}. Furthest: {worst}."]
    return lines


def published(f: Figures) -> list[str]:
    threads = f.settings["threads"][0]
    lines = [
        "The origin's published figures are **another machine's**, and it is not said what its bytes count: they show the",
        f"order of size, no ratio. Here: {threaded(threads)}; bytes are the container's, without keys and values.",
        "",
        "| keys | write, us: published | its design here | ours | read, us: published | its design here | ours "
        "| bytes: published | its design here | ours |",
        "| --- " * 10 + "|",
    ]

    def here(store: str, size: int, op: str) -> str:
        value = f.value(store, size, threads, op)
        if value is None:
            return "–"
        return f"{value * size:,.0f}" if op == "bytes" else f"{value / 1000:.3f}"

    for size, write, size_bytes, read in PUBLISHED:
        lines.append(
            f"| {size:,} | {write:.3f} | {here(ORIGIN, size, 'put')} | {here(OURS, size, 'put')} "
            f"| {read:.3f} | {here(ORIGIN, size, 'get')} | {here(OURS, size, 'get')} "
            f"| {size_bytes:,} | {here(ORIGIN, size, 'bytes')} | {here(OURS, size, 'bytes')} |"
        )
    return lines


def table(f: Figures, threads: int) -> list[str]:
    lines = ["| | keys | " + " | ".join(f.stores) + " |", "| --- " * (len(f.stores) + 2) + "|"]
    for op, words in ROWS.items():
        for size in f.settings["sizes"]:
            row = []
            for store in f.stores:
                value = f.value(store, size, threads, op)
                ratios = f.ratios(store, size, threads, op)
                if value is None:
                    row.append(f.absent(store, size, threads, op))
                elif store == OURS:
                    row.append(f"**{value:,.0f}**")
                else:
                    row.append(f"{value:,.0f}" + (f" ({median(ratios):.2f})" if ratios else ""))
            lines.append(f"| {words} | {keys(size)} | " + " | ".join(row) + " |")
    return lines


def remarks(f: Figures) -> list[str]:
    lines = [f"- {s.name}: {s.remark}." for s in STORES if s.remark and s.name in f.stores]
    lines += [f"- {s.name}: to {keys(s.most_keys)} keys only." for s in STORES if s.most_keys and s.name in f.stores]
    lines += [f"- SKIPPED: {name}: {why}." for name, why in f.settings["skipped"].items()]
    lines += [f"- {store}, {keys(n)} keys, {threaded(t)}: {why}." for (store, n, t), why in f.ended.items()]
    lines += [f"- {store}, {ROWS[op]}, {keys(n)} keys, {threaded(t)}: {why}." for (store, n, t, op), why in f.wrong.items()]
    return lines


def noise(f: Figures) -> list[str]:
    """How even the machine was, by what does not depend on a store."""
    empty = [cell["empty"]["keys"] for cell in f.cells if cell["threads"] == 1 and "keys" in cell["empty"]]
    alone = [
        got["ns"] / got["cpu_ns"]
        for cell in f.cells
        if cell["threads"] == 1
        for got in cell["ops"].values()
        if got.get("cpu_ns")
    ]
    if len(empty) < 2 or not alone:
        return []
    low, high = quartiles(empty)
    late = sum(ratio > 1.1 for ratio in alone)
    return [
        f"The machine's own noise: the empty loop took {median(empty):.1f} ns a key (quartiles {low:.1f}–{high:.1f}, "
        f"longest {max(empty):.1f}); in {late} of {len(alone)} passes on one thread the wall clock went more than "
        "10 % past the processor time."
    ]


def document(f: Figures, charts: list[str]) -> str:
    s = f.settings
    rounds = {size: max((c["round"] + 1 for c in f.cells if c["size"] == size), default=0) for size in s["sizes"]}
    lines = [
        "# The Python package: speed and memory",
        "",
        f"evanesce {s['evanesce']}; {s['python']}; {', '.join(s['versions'].values()) or 'no other package'}; {s['machine']}.",
        "Rounds: " + ", ".join(f"{n} at {keys(size)}" for size, n in rounds.items()) + f"; seed {s['seed']}; at most "
        f"{s['sample']:,} operations a pass after the puts.",
        "",
        "Medians over the rounds: nanoseconds an operation, without the loop around it, and bytes a key by growth of",
        "resident memory, without keys and values. In brackets **ours over theirs**, formed within each round: below 1 ours",
        "is faster or smaller. How it is measured: the README beside the script.",
        "",
        *noise(f),
        "",
        "## Targets",
        "",
        "The last column is what a bare dict reaches against the same design: no lock, no durations, no call.",
        "",
        *targets(f),
        "",
        "## Beside the published figures",
        "",
        *published(f),
    ]
    for threads in s["threads"]:
        lines += ["", f"## {threaded(threads).capitalize()}", ""]
        lines += [f"![{threaded(threads)}]({name})\n" for name in charts if name == chart_name(threads)]
        lines += table(f, threads)
    lines += ["", "## Remarks", "", *remarks(f)]
    return "\n".join(lines) + "\n"


def chart_name(threads: int) -> str:
    return f"threads-{threads}.svg"


COLOURS = {
    OURS: "#c0392b",
    ORIGIN: "#111111",
    "dict alone": "#c8c8c8",
    "dict + Lock": "#8c8c8c",
    "cachetools TTLCache + Lock": "#8e6c3a",
    CACHEBOX: "#1f6fb4",
    "moka-py": "#2a9d64",
    "theine": "#9b59b6",
}


def draw(f: Figures, out: Path) -> list[str]:
    try:
        import matplotlib
    except ImportError:
        print("SKIPPED: charts: pip install matplotlib")
        return []
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "evanesce", "font.size": 9})
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    sizes, names = f.settings["sizes"], []
    for threads in f.settings["threads"]:
        figure, axes = plt.subplots(3, 3, figsize=(10, 8.2), layout="constrained")
        handles: dict[str, Any] = {}
        for axis, (op, words) in zip(axes.flat, ROWS.items()):
            for store in f.stores:
                points = [(i, f.value(store, n, threads, op)) for i, n in enumerate(sizes)]
                points = [(i, v if op == "bytes" else v / 1000) for i, v in points if v is not None and v > 0]
                if points:
                    (handles[store],) = axis.plot(
                        *zip(*points), marker="o", color=COLOURS[store], label=store,
                        linewidth=2.4 if store == OURS else 1.2, markersize=5 if store == OURS else 3.5,
                        zorder=3 if store == OURS else 2,
                    )  # fmt: skip
            axis.set_title(words.replace("`", "") + (", us" if op != "bytes" else ""), fontsize=9)
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.set_xticks(range(len(sizes)), [keys(n) for n in sizes])
            axis.margins(x=0.08 if len(sizes) > 1 else 1)
            axis.grid(axis="y", color="#dddddd", linewidth=0.6)
            axis.spines[["top", "right"]].set_visible(False)
        figure.suptitle(f"{threaded(threads)}: lower is better, against keys held; medians")
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(out / chart_name(threads), metadata={"Date": None})
        plt.close(figure)
        names.append(chart_name(threads))
    return names


def write(data: dict, out: Path, say: Callable[[str], None] = print) -> int:
    """Writes TABLE.md and the charts, and says both. 1 if ours failed or answered wrongly, else 0."""
    f = Figures(data)
    charts = draw(f, out)
    text = document(f, charts)
    (out / "TABLE.md").write_text(text)
    say("\n" + text)
    say("written: " + ", ".join(str(out / name) for name in ["TABLE.md", *charts, "results.json"]))
    bad = [at for at in [*f.wrong, *f.ended] if at[0] == OURS and not f.ended.get(at[:3], "").startswith(("SKIPPED", "over"))]
    if bad:
        print(f"evanesce failed, or answered wrongly, in {len(bad)} rows", file=sys.stderr)
    return 1 if bad else 0
