"""The policy for late work, as nbgrader's plugin, and the due date, as nbgrader's gradebook keeps it.

``nbgrader_config.py`` chooses the plugin and may change its three numbers:

    c.AssignLatePenalties.plugin_class = "coursekit.late.LatePolicy"
    c.LatePolicy.grace_minutes = 15
    c.LatePolicy.lost_per_day = 0.1
    c.LatePolicy.last_day = 5
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import Path

from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.utils import parse_utc
from traitlets import Float

from .course import source_path
from .errors import CourseError
from .project import ROOT

DAY = timedelta(days=1).total_seconds()


class LatePolicy(LateSubmissionPlugin):
    """A little grace, then a share of the points earned for each day begun, and nothing after the last day."""

    grace_minutes = Float(15, min=0, help="Minutes after the due date in which nothing is lost.").tag(config=True)
    lost_per_day = Float(
        0.1, min=0, max=1, help="Share of the points earned that each day begun costs, counted from the due date."
    ).tag(config=True)
    last_day = Float(5, min=0, help="Days after the due date; what comes later earns nothing.").tag(config=True)

    def late_submission_penalty(self, student_id: str, score: float, total_seconds_late: float) -> float | None:
        """Points to take from ``score`` for work that is so many seconds late, or None for none."""
        if total_seconds_late <= self.grace_minutes * 60:
            return None
        if total_seconds_late > self.last_day * DAY:
            return score
        return score * min(1.0, self.lost_per_day * math.ceil(total_seconds_late / DAY))


def set_due(name: str, when: str | datetime | None, root: Path = ROOT) -> datetime | None:
    """Set the due date of an assignment, or remove it with None; return it in UTC, without a zone.

    A string is a date and time such as ``2026-11-30 18:00 Europe/Berlin`` or ``2026-11-30T18:00+01:00``. Without a
    zone it is in UTC, as in all of nbgrader. Penalties follow when the assignment is graded the next time.

    Raises ``CourseError`` if the assignment is unknown or was never released, or if the date cannot be read.
    """
    from .grading import gradebook

    root = Path(root).resolve()
    source_path(name, root)
    due = read_time(when) if when is not None else None
    if when is not None and due is None:
        raise CourseError(f"{when!r} is not a date and time: write it like '2026-11-30 18:00 Europe/Berlin'.")
    with gradebook(root) as book:
        if name not in {assignment.name for assignment in book.assignments}:
            raise CourseError(f"The gradebook does not know {name} yet: release it, then set its due date.")
        book.update_or_create_assignment(name, duedate=due)
    return due


def read_time(when: str | datetime) -> datetime | None:
    """A time in nbgrader's notation, in UTC and without a zone; None if it is not one."""
    try:
        return parse_utc(when.strip() if isinstance(when, str) else when)
    except (ValueError, TypeError, OverflowError, AttributeError):
        return None
