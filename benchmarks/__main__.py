"""Chooses a benchmark: ``python -m benchmarks [engine | scale | server | transfers] [options]``; without a name, the engine's."""

import sys
from importlib import import_module

NAMES = ("engine", "scale", "server", "transfers")


def main() -> int:
    """Run the benchmark that the first argument names."""
    arguments = sys.argv[1:]
    name = arguments.pop(0) if arguments and arguments[0] in NAMES else NAMES[0]
    code: int = import_module(f"benchmarks.{name}").main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
