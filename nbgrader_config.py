"""nbgrader's settings for this course. The code they name lives in utils/coursekit."""

import os
from pathlib import Path

import coursekit

c = get_config()  # noqa: F821 (nbgrader provides it)

root = Path(__file__).resolve().parent

c.CourseDirectory.course_id = "vae-course"
c.CourseDirectory.root = str(root)
c.CourseDirectory.db_url = f"sqlite:///{(root / 'grading' / 'gradebook.db').as_posix()}"

# The source folder is derived from solutions/ and holds notebooks only: nbgrader would release
# every other file that it finds beside them.
c.CourseDirectory.source_directory = "_build/source"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.feedback_directory = "grading/feedback"

# A mark scheme stands in the locked cell that asks the question: students never see it, and the
# grader reads it just above the answer.
c.ClearMarkScheme.enforce_metadata = False

# Only a failed test costs points. A warning or a progress bar on stderr does not.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"[\s\S]"

# A student's cells run in a kernel of their own, isolated as far as the machine can; the tests, visible and hidden,
# run in another process, which calls the student's functions.
c.Autograde.autograde_preprocessors = [
    "coursekit.execution.ExecuteApart",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
# The data, if there is any: notebooks may read it.
named = os.environ.get("VAELAB_DATA") or "data"
for data in (Path(named), root / named):
    if (data / "MNIST").is_dir():
        c.ExecuteApart.readable = [str(data.resolve())]
        c.ExecuteApart.variables = {"VAELAB_DATA": str(data.resolve())}
c.Execute.timeout = 120  # seconds for each cell
c.ExecuteApart.total_timeout = 300  # seconds for a notebook
c.Execute.shutdown_kernel = "immediate"
c.Execute.extra_arguments = ["--IPKernelApp.log_level=40"]  # errors only

# Late work, where a due date is set (`make due`): a grace of 15 minutes, then a tenth of the points for each day begun,
# and nothing after five days.
c.AssignLatePenalties.plugin_class = "coursekit.late.LatePolicy"
c.LatePolicy.grace_minutes = 15
c.LatePolicy.lost_per_day = 0.1
c.LatePolicy.last_day = 5

# Feedback shows the student's work and the tests' messages: no hidden test, no active content.
c.GenerateFeedback.exporter_class = "coursekit.feedback.FeedbackPage"
c.GenerateFeedback.preprocessors = ["coursekit.feedback.Grades", "coursekit.feedback.KeepSecrets"]
# Where the book is published; without an address, feedback names the pages to reread and links to none.
c.FeedbackPage.book_address = ""

# Formgrader shows students' work without anything active, which would run with the instructor's rights.
c.HTMLExporter.template_file = str(Path(coursekit.__file__).parent / "templates" / "formgrader.html.j2")
c.HTMLExporter.preprocessors = ["coursekit.formgrader.Harmless"]
c.HTMLExporter.filters = {
    "markdown2html": "coursekit.formgrader.markdown_to_html",
    "without_foreign_scripts": "coursekit.formgrader.without_foreign_scripts",
}
