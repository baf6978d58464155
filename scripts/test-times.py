"""Tell how long each suite of tests takes, from what `pytest --junit-xml` wrote."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

SECONDS: dict[str, float] = defaultdict(float)
TESTS: dict[str, int] = defaultdict(int)


def main(path: Path) -> None:
    """Print one line for each folder below tests/."""
    for case in ElementTree.parse(path).iter("testcase"):  # noqa: S314 - written by pytest just now
        _, *parts = case.attrib["classname"].split(".")
        suite = parts[0] if len(parts) > 1 else "(top)"
        SECONDS[suite] += float(case.attrib["time"])
        TESTS[suite] += 1
    for suite in sorted(SECONDS, key=lambda suite: -SECONDS[suite]):
        print(f"{suite:12} {TESTS[suite]:5d} tests {SECONDS[suite]:8.1f} s")  # noqa: T201
    print(f"{'all':12} {sum(TESTS.values()):5d} tests {sum(SECONDS.values()):8.1f} s")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
