"""The one kind of error that coursekit raises on purpose."""


class CourseError(Exception):
    """Something is wrong with the course or its files; the message names it and the remedy."""
