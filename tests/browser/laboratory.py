"""JupyterLab under a headless browser: a server, a notebook in a page, a widget in it.

Nothing here waits for a length of time: every wait is for something to become true.
"""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    Route,
    expect,
)

from .in_page import (
    AT_THE_END,
    CELLS,
    CURVE,
    DRAWN,
    FITTED,
    INSERT,
    INTERRUPT,
    LISTEN,
    MOVABLE,
    PLACE,
    READY,
    RUN,
)

__all__ = [
    "PICTURES",
    "ROOT",
    "Card",
    "Notebook",
    "chromium_at",
    "fresh",
    "jupyter",
]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds until something that should become true counts as missing
RUNNING = 400.0  # the same for all cells of a notebook
FORSAKEN = 900  # a server whose tests were killed ends after so many idle seconds
WINDOW = 1280, 1000
OUTSIDE = re.compile(r"^(https?|wss?|ftp)://(?!(127\.0\.0\.1|localhost)(:\d+)?(/|$))")
DEAF = "[anywidget] Failed to initialize model"
QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A folder: the widgets are photographed into it, in twice the resolution.
PICTURES = os.environ.get("MINIHYENA_SCREENSHOTS")

expect.set_options(timeout=1000 * PATIENCE)


def as_root(option: str) -> list[str]:
    return [option] if getattr(os, "geteuid", lambda: 1)() == 0 else []


@contextmanager
def chromium_at(path: str, playwright: Playwright) -> Iterator[Browser]:
    arguments = [*QUIET, *as_root("--no-sandbox")]
    browser = playwright.chromium.launch(executable_path=path, args=arguments)
    try:
        yield browser
    finally:
        browser.close()


# ---- the server


@contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """Serve `folder/notebooks`; yields the address of Lab, with the token.

    The project's settings and this Python as kernel; nothing of the user's own Jupyter.
    """
    home, log = folder / "jupyter", folder / "server.log"
    kernel = home / "share" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    python = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": python, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    own = {
        "JUPYTER_CONFIG_PATH": ROOT / ".jupyter",
        "JUPYTER_PATH": home / "share",  # the first place to look for kernels
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "IPYTHONDIR": home / "ipython",
        "PYTHONPATH": ROOT,  # the notebooks are a copy, what they import is not
        "OMP_NUM_THREADS": 1,  # the browser needs the other core
        "MKL_NUM_THREADS": 1,
    }
    token = secrets.token_hex(16)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": free_port(),
        "ServerApp.port_retries": 100,
        "ServerApp.open_browser": False,
        "ServerApp.root_dir": folder / "notebooks",
        "ServerApp.shutdown_no_activity_timeout": FORSAKEN,
        "MappingKernelManager.cull_idle_timeout": FORSAKEN,
        "IdentityProvider.token": token,
        "LabApp.expose_app_in_browser": True,
    }
    command = [sys.executable, "-m", "jupyterlab", *as_root("--allow-root")]
    command += [f"--{name}={value}" for name, value in options.items()]
    with log.open("wb") as written:
        server = subprocess.Popen(
            command,
            env=kept | {name: str(value) for name, value in own.items()},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the tests; they end the server
        )
    try:
        yield f"{address(server, home / 'runtime', log)}lab?token={token}"
    finally:
        server.terminate()  # its kernels too
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def address(server: "subprocess.Popen[bytes]", runtime: Path, log: Path) -> str:
    """Where the server listens: it writes that down once it does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(file.read_text())["url"])
            except ValueError:
                pass  # half written
        time.sleep(0.05)
    raise RuntimeError(f"JupyterLab did not start; its log:\n{log.read_text()}")


# ---- a notebook in a page


class Notebook:
    """A notebook that is open in a page, with a kernel of its own, under watch.

    `faults()` tells what went wrong anywhere: in the page, on the browser's console, in
    a cell, a callback or a thread of the kernel, on the way to the network.
    """

    def __init__(self, browser: Browser, address: str, name: str) -> None:
        self.name, self._address = name, address
        self.console: list[str] = []
        self._wrong: list[str] = []
        self.context = browser.new_context(
            viewport={"width": WINDOW[0], "height": WINDOW[1]},
            device_scale_factor=2 if PICTURES else 1,
            service_workers="block",  # they would ask past the watch
        )
        self.context.set_default_timeout(1000 * PATIENCE)
        self.context.route(OUTSIDE, self._refuse)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self._on_error(str(error)))
        self.page.on("websocket", lambda socket: self._on_socket(socket.url))

    def open(self) -> None:
        """Show the notebook without the side bar; returns when its kernel is ready."""
        place = f"/lab/workspaces/{secrets.token_hex(4)}/tree/{self.name}?"
        self.page.goto(self._address.replace("/lab?", place))
        assert self.until(lambda: self.page.evaluate(READY)), "no kernel came up"
        self.page.evaluate(LISTEN)
        self.command("application:toggle-left-area")

    def close(self) -> None:
        """End the kernel and leave the page."""
        with suppress(Error, AssertionError):  # else it ends with the server
            self.command("notebook:shutdown-kernel")
        self.context.close()

    def faults(self) -> list[str]:
        """What went wrong since this was last asked."""
        kernel = self.page.evaluate("(window.heard ?? []).splice(0)")
        shown = self.page.locator(".mh-error").all_inner_texts()
        wrong, self._wrong = self._wrong, []
        return [
            *wrong,
            *(f"kernel: {line}" for line in kernel),
            *(f"widget: {line}" for line in shown),
        ]

    def _refuse(self, route: Route) -> None:
        self._wrong.append(f"the page asked for {route.request.url}")
        route.abort()

    def _on_error(self, error: str) -> None:
        if DEAF not in error:  # a page that is too busy; pictures get over it
            self._wrong.append(f"page: {error}")

    def _on_socket(self, url: str) -> None:
        if OUTSIDE.match(url):
            self._wrong.append(f"the page asked for {url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        line = f"{message.type}: {message.text}"
        self.console.append(line)
        if message.type in ("error", "warning"):
            self._wrong.append(f"console {line}")

    # ---- what can be done

    def command(self, name: str, **arguments: Any) -> None:
        """One of Lab's own commands, to its end."""
        script = "([name, how]) => jupyterapp.commands.execute(name, how)"
        self._to_the_end(script, [name, arguments])

    def run_all(self) -> None:
        """Every cell, as Run All does: it stops at the first error."""
        self.command("notebook:run-all-cells")

    def run_until(self, title: str) -> "Card":
        """Cell after cell until a card with this title is there."""
        card = Card(self, title)
        for index in self.code_cells():
            self._to_the_end(RUN, index)
            assert self.faults() == []
            if card.root.count():
                return card
        raise AssertionError(f"no cell of {self.name} shows a card {title!r}")

    def run(self, source: str) -> str:
        """Add a cell and run it; the text it gives back."""
        index = self.begin(source)
        self.finish()
        outputs = self.code_cells()[index]["outputs"]
        texts = (o.get("text") or o.get("data", {}).get("text/plain") for o in outputs)
        return "".join("".join(text or "") for text in texts)

    def begin(self, source: str) -> int:
        """Add a cell and run it without waiting; its index."""
        index = int(self.page.evaluate(INSERT, source))
        self._start(RUN, index)
        return index

    def interrupt(self) -> None:
        """What the square in the toolbar does; returns when the kernel was told."""
        self.page.evaluate(INTERRUPT)

    def code_cells(self) -> dict[int, dict[str, Any]]:
        """Index -> `count` of its last run, `outputs`; of every cell with code."""
        cells = enumerate(self.page.evaluate(CELLS))
        return {index: cell for index, cell in cells if cell["code"]}

    def cards(self) -> "list[Card]":
        """Every widget that is shown, in order."""
        titles = self.page.locator(".minihyena .mh-title").all_inner_texts()
        return [Card(self, t, titles[:i].count(t)) for i, t in enumerate(titles)]

    def resize(self, width: int = WINDOW[0], height: int = WINDOW[1]) -> None:
        """Returns when Lab and all pictures have taken the new width."""
        self.page.set_viewport_size({"width": width, "height": height})
        fitted = self.until(lambda: self.page.evaluate(FITTED, width))
        assert fitted, f"the pictures do not follow a window {width} px wide"

    def change_theme(self, name: str) -> None:
        """ "Light" or "Dark"; returns when it is on."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name}")
        light = str(name == "Light").lower()
        body = self.page.locator("body")
        expect(body).to_have_attribute("data-jp-theme-light", light)

    def until(self, ask: Callable[[], Any], seconds: float = PATIENCE) -> bool:
        """Ask until the answer is true; False if it does not become so."""
        deadline = time.monotonic() + seconds
        while not ask():
            if time.monotonic() > deadline:
                return False
            self.page.wait_for_timeout(50)
        return True

    def _to_the_end(self, script: str, argument: Any) -> None:
        self._start(script, argument)
        self.finish()

    def _start(self, script: str, argument: Any) -> None:
        """Begin what returns a promise; evaluate() would wait for it for ever."""
        self.page.evaluate(
            "argument => { window.outcome = null; "
            f"Promise.resolve(({script})(argument))"
            ".then(() => 'done', String).then(said => { window.outcome = said; }); }",
            argument,
        )

    def finish(self) -> None:
        """Wait for the end of what was begun."""
        self.until(lambda: self.page.evaluate("window.outcome"), seconds=RUNNING)
        assert self.page.evaluate("window.outcome") == "done"


# ---- a widget in the notebook


class Card:
    """A widget, used as a learner does: by the words on its controls."""

    def __init__(self, notebook: Notebook, title: str, number: int = 0) -> None:
        self.notebook, self.page, self.title = notebook, notebook.page, title
        name = self.page.locator(".mh-title", has_text=re.compile(f"^{title}$"))
        self.root = self.page.locator(".minihyena", has=name).nth(number)
        self.caption = self.root.get_by_role("status")

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=re.compile(rf"\b{name}$"))

    def choice(self, label: str) -> Locator:
        """The dropdown with this label."""
        return self.root.get_by_label(label, exact=True)

    def slider(self, label: str) -> Locator:
        """The handle of the slider with this label; it has the focus and the keys."""
        words = self.page.get_by_text(label, exact=True)
        return self.root.locator(".widget-hslider", has=words).get_by_role("slider")

    def controls(self) -> dict[str, Locator]:
        """Label -> dropdown or slider, of those that can be moved now."""
        found: dict[str, Locator] = {}
        for row in self.root.locator(".widget-dropdown, .widget-hslider").all():
            label = row.locator(".widget-label").inner_text()
            is_list = row.locator("select").count()
            control = self.choice(label) if is_list else self.slider(label)
            if control.evaluate(MOVABLE):
                found[label] = control
        return found

    def move(self, control: Locator) -> None:
        """One step by keyboard: forwards, or back from the last value."""
        forwards, back = "ArrowRight", "ArrowLeft"
        if control.evaluate("e => e.matches('select')"):
            forwards, back = "ArrowDown", "ArrowUp"
        self._press(control, back if control.evaluate(AT_THE_END) else forwards)

    def to_the_end(self, control: Locator) -> None:
        """To the last value, by keyboard."""
        if not control.evaluate(AT_THE_END):
            self._press(control, "End")

    def _press(self, control: Locator, key: str) -> None:
        """Press until it moved: after a cell ran, Lab can snatch the focus once."""
        before = control.evaluate(PLACE)

        def moved() -> bool:
            control.press(key)
            return bool(control.evaluate(PLACE) != before)

        assert self.notebook.until(moved), f"{key} does nothing"

    def drawn(self) -> str:
        """The picture itself, to see whether it changes."""
        return str(self.root.evaluate(DRAWN))

    def redrawn(self, before: str, what: str = "the picture") -> None:
        """Wait until the picture is another one than `before`."""
        changed = self.notebook.until(lambda: self.drawn() != before)
        assert changed, f"{what} is still the same"

    def curve(self, name: str) -> list[float]:
        """The heights of one trace of the picture."""
        return [y for y in self.root.evaluate(CURVE, name) if y is not None]

    def photograph(self, name: str, width: int = WINDOW[0]) -> None:
        """Save `name`.png, if pictures are wanted; `width` is that of the window."""
        if PICTURES:
            self.page.evaluate("document.activeElement?.blur()")
            self.notebook.resize(width)
            height = self.root.evaluate("card => card.offsetHeight")
            self.notebook.resize(width, height + 200)
            self.root.screenshot(path=Path(PICTURES) / f"{name}.png")
            self.notebook.resize()


@contextmanager
def fresh(notebook: Notebook, title: str) -> Iterator[Card]:
    """The first card with this title, as it was when it was made; it is left so."""
    card = Card(notebook, title)
    card.button("Reset").press("Enter")
    yield card
    card.button("Reset").press("Enter")
