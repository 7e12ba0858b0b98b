"""The regions of a cell that students may not read, by nbgrader's own markers."""

from collections.abc import Iterator

SECRET = ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME")


def split_regions(source: str) -> Iterator[tuple[str, str | None]]:
    """Yield each line of a cell's source with the kind of region that it lies in, or None.

    The markers themselves are left out, except that a marker line which opens a region is yielded
    as an empty line of that kind, so that even an empty region is noticed. A region that is never
    closed reaches to the end of the cell.
    """
    inside = None
    for line in source.splitlines():
        opens = next((kind for kind in SECRET if f"BEGIN {kind}" in line), None)
        if opens is not None:
            inside = opens
            yield "", inside
        elif any(f"END {kind}" in line for kind in SECRET):
            inside = None
        else:
            yield line, inside
