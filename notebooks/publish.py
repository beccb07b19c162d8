"""Run, clean and write the notebooks: `make notebooks`, or for one `... NB=09`.

What is written holds outputs, a picture and a sentence for every figure, and nothing
of the machine it ran on: running it twice gives the same bytes.
"""

import argparse
import base64
import os
import sys
import time
from io import BytesIO
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
from additions import divide, mark_slides, open_elsewhere
from hygiene import WIDGET_VIEW, code_cells, faults, named, read
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from PIL import Image
from releasing import assignment_of, is_release, release, releases, source_of
from traitlets import Type, default

__all__ = ["clean", "execute", "main", "name_cells"]

HERE = Path(__file__).resolve().parent
BUDGET = 45.0  # seconds a cell may take
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}


class WatchfulChannel(AsyncZMQSocketChannel):
    """Looks again every quarter second for a message that has arrived unnoticed.

    nbclient answers a filled Output widget on the very socket it waits on, and that
    send can use up the wake-up of the reply (github.com/jupyter/nbclient, issue 312).
    """

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            left = end - time.monotonic()
            try:
                return await super().get_msg(max(0, min(left, 0.25)))
            except Empty:
                if left <= 0.25:
                    raise


class OwnClient(AsyncKernelClient):
    """A client that cannot miss a reply."""

    shell_channel_class = Type(WatchfulChannel)


class OwnKernel(AsyncKernelManager):
    """This very Python: somebody's kernel named python3 cannot take its place."""

    client_factory = Type(OwnClient)

    @default("kernel_spec_manager")
    def _look_in_no_folder(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])


def name_cells(notebook: NotebookNode) -> None:
    """Keep every cell id; give one to cells that have none or somebody else's."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    taken: set[str] = set()
    for cell in notebook.cells:
        own = cell.get("id")
        if not own or own in taken:
            known = taken | {cell.get("id") for cell in notebook.cells}
            own = next(n for i in range(10**4) if (n := f"cell-{i:03}") not in known)
        cell.id = own
        taken.add(own)


def execute(notebook: NotebookNode, folder: Path, static: str = "1") -> list[float]:
    """Run all cells with this Python, in `folder`; the seconds each code cell took.

    Widgets add a picture, or with static="site" what the site draws one from.

    Raises CellExecutionError where a cell fails.
    """
    started: dict[int, float] = {}
    seconds: dict[int, float] = {}
    # Widget state is asked for and thrown away by clean(): leaving it out makes
    # nbclient fail on a cell that fills an Output widget.
    NotebookClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=OwnKernel,
        timeout=600,
        record_timing=False,
        store_widget_state=True,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: started.update(
            {cell_index: time.monotonic()}
        ),
        on_cell_executed=lambda cell, cell_index, execute_reply: seconds.update(
            {cell_index: time.monotonic() - started[cell_index]}
        ),
    ).execute(env={**os.environ, "MINIHYENA_STATIC": static})
    return [seconds[index] for index in sorted(seconds)]


def with_fewer_colours(picture: str) -> str:
    """A PNG, base64 before and after, in its 256 nearest colours: far fewer bytes."""
    image, small = Image.open(BytesIO(base64.b64decode(picture))), BytesIO()
    if image.mode == "P":  # it has so few already
        return picture
    image.convert("RGB").quantize().save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def clean(notebook: NotebookNode) -> None:
    """Take out widget state and views, times and machine; count cells 1 to n."""
    own = {"minihyena": notebook.metadata.minihyena} if assignment_of(notebook) else {}
    notebook.metadata = nbformat.from_dict({**METADATA, **own})
    for cell in notebook.cells:
        for noise in ("execution", "collapsed", "scrolled", "ExecuteTime"):
            cell.metadata.pop(noise, None)
    for count, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = count
        for output in cell.outputs:
            data = output.get("data", {})
            data.pop(WIDGET_VIEW, None)
            if "image/png" in data:
                data["image/png"] = with_fewer_colours(data["image/png"])
            if "execution_count" in output:
                output.execution_count = count


def same_text(one: NotebookNode, other: NotebookNode) -> bool:
    """True if they differ in nothing but the bytes of pictures."""

    def text(notebook: NotebookNode) -> NotebookNode:
        stripped = nbformat.from_dict(notebook)
        for cell in code_cells(stripped):
            for output in cell.outputs:
                for mime in [m for m in output.get("data", {}) if m[:6] == "image/"]:
                    output.data[mime] = ""
        return stripped

    same: bool = text(one) == text(other)
    return same


def publish(path: Path, check: bool) -> bool:
    """Execute, clean, and write `path` (or compare with it); True if all is well."""
    committed = read(path) if path.exists() else NotebookNode()
    released = is_release(path)
    notebook = release(read(source_of(path))) if released else read(path)
    name_cells(notebook)
    if not assignment_of(notebook):
        divide(notebook)
        open_elsewhere(notebook, path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    print(f"{path.name}{released * ' (release)'} ...", flush=True)
    try:
        seconds = execute(notebook, path.parent)
    except CellExecutionError as error:
        print(f"{error}\n{path.name}: a cell failed; nothing was written")
        return False
    clean(notebook)
    if not assignment_of(notebook):
        mark_slides(notebook)
    found = faults(path, notebook)
    if check and not same_text(committed, notebook):
        found.append("not what running it gives; run `make notebooks`")
    slow = f"slowest cell {max(seconds, default=0):.1f} s"
    print(f"{path.name}: {time.monotonic() - begun:.0f} s, {slow}")
    if max(seconds, default=0) > BUDGET:
        print(f"  warning: a cell should take at most {BUDGET:.0f} s")
    for fault in found:
        print(f"  {fault}")
    if not found and not check:
        # nbformat adds no newline at the end in every version: make sure of one
        text = nbformat.writes(notebook).rstrip("\n") + "\n"
        path.write_text(text, encoding="utf-8", newline="\n")
    elif found:
        print("  nothing was written")
    return not found


def main(arguments: list[str] | None = None) -> int:
    """Publish the named notebooks, or all; 0 if every one is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help='how names begin, "09"; default: all')
    parser.add_argument(
        "--check", action="store_true", help="compare instead of writing"
    )
    parser.add_argument("--folder", type=Path, default=HERE)
    options = parser.parse_args(arguments)
    try:
        paths = named(options.folder, options.names, "**/*.ipynb")
        paths = sorted({*paths, *releases(paths)})
    except ValueError as error:
        parser.error(str(error))
    if not paths:
        print(f"no notebooks in {options.folder}")
    results = [publish(path, options.check) for path in paths]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
