"""nbgrader's settings: it hands out, collects and returns; grading is minihyena's own.

A notebook is not run. Each part goes into a box, as `python -m minihyena grade` does
it, and what it got becomes the output of its check cell. The seed of the cases is the
environment variable MINIHYENA_SEED.
"""

import os
from pathlib import Path

from nbformat.v4 import new_output
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    LimitOutput,
    NbGraderPreprocessor,
    SaveAutoGrades,
)

try:
    from minihyena.grading import Boxes, assignments, grade
    from minihyena.grading.grading import PLACEHOLDER
    from minihyena.grading.parts import PUBLIC, report
    from minihyena.grading.submission import read_cells
except ImportError as error:  # nbgrader would go on, and run what was handed in
    raise SystemExit(f"nbgrader needs minihyena in its own Python: {error}") from None


class GradeInBoxes(NbGraderPreprocessor):
    """Takes the place of the step that would run the notebook."""

    def preprocess(self, notebook, resources):
        """Put its points, and what there is to say, under each check cell."""
        seed = os.environ.get("MINIHYENA_SEED", PUBLIC)
        if seed == PUBLIC:
            self.log.warning("MINIHYENA_SEED is not set: students know these cases")
        where = resources["nbgrader"]
        path = Path(where["assignment"]) / f"{where['notebook']}.ipynb"
        submission = read_cells(notebook, path, where["student"])
        with Boxes() as boxes:
            graded = grade(submission, assignments[where["assignment"]], seed, boxes)
        results = {f"check_{one.part.name}": one for one in graded.results}
        for count, cell in enumerate(notebook.cells, 1):
            one = results.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
            if one is not None:
                said = report(one.part, one.verdicts)
                text = "\n".join(filter(None, [one.message, *one.notes, said])) + "\n"
                points = {"text/plain": f"{float(one.points)}"}
                cell.execution_count = count
                cell.outputs = [
                    new_output("stream", name="stdout", text=text),
                    new_output("execute_result", points, execution_count=count),
                ]
        return notebook, resources


c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "minihyena"
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = PLACEHOLDER
c.Autograde.autograde_preprocessors = [
    GradeInBoxes,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
