"""``python -m benchmarks NAME [--data DIR] [--full] [--random-weights]``; 0 when all goals hold."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import runner


def main(given: Sequence[str] | None = None) -> int:
    """Run the named benchmark: 0 its goals hold, 1 they do not, 2 it could not run as asked."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Run one benchmark.")
    parser.add_argument("name", help=f"one of: {', '.join(runner.names())}")
    parser.add_argument("--data", type=Path, help="folder of a dataset")
    parser.add_argument("--full", action="store_true", help="measure long and exactly")
    parser.add_argument(
        "--random-weights", action="store_true", help="a model of random weights, of 7e9 on a GPU"
    )
    options = parser.parse_args(given)
    try:
        run = runner.load(options.name)
        context = runner.Context(
            data=options.data, full=options.full, random_weights=options.random_weights
        )
        return 0 if runner.measure(options.name, run, context) else 1
    except runner.BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
