"""``qtnc cache``: what is kept of earlier fits."""

import argparse
import json

from qtnc.cli.arguments import Commands, form


def add(commands: Commands) -> None:
    """Say what the command takes."""
    parser = commands.add_parser("cache", help="show, bound or clear what is kept of earlier fits")
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--limit", metavar="BYTES", help="keep so many bytes at most from now on, such as 500M or 10Gi")
    act.add_argument("--clear", action="store_true", help="drop everything")
    form(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from qtnc.errors import visible
    from qtnc.spec.settings import counted
    from qtnc.tensor.memory import size
    from qtnc.work.cache import default_cache

    cache = default_cache()
    if options.limit is not None:
        cache.bound(counted("--limit", options.limit, "as in `--limit 10Gi`"))
    if options.clear:
        cache.clear()
    sizes, folder = cache.sizes(), visible(str(cache.folder))
    total, limit = sum(sizes.values()), cache.limit
    if options.format == "json":
        print(
            json.dumps({"folder": str(cache.folder), "entries": len(sizes), "bytes": total, "limit": limit}, indent=2)
        )
    else:
        print(f"{folder}: {len(sizes):,} entries, {size(total)} of {size(limit)}")
    return 0
