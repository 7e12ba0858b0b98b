"""The course's machinery: build the book, release and grade the exercises. It knows nothing of VAEs."""

import sys

# jsonschema imports this where it is installed, which takes a second in each process. It is for checks of internet
# addresses, and neither notebooks nor nbgrader ask for any.
sys.modules.setdefault("rfc3987_syntax", None)
