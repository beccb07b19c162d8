"""JupyterLab under a headless browser: a server, a notebook in a page, a widget in it.

Nothing here waits for a length of time: every wait is for something to become true.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Route,
)

from in_page import CELLS, INSERT, LISTEN, READY, RUN

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0  # seconds until something that should become true counts as missing
LONGEST_CELLS = 300.0  # seconds for all cells of one notebook
WINDOW = {"width": 1280, "height": 1000}
OURS = r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)"
OUTSIDE = re.compile(rf"^(https?|wss?|ftp)://(?!{OURS})")
QUIET = (
    "--disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --mute-audio"
).split()
# Set to a folder: every widget is photographed into it, in twice the resolution.
PICTURES = os.environ.get("MINIHYENA_SCREENSHOTS")


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


# ---- the server


@contextmanager
def jupyter(folder: Path) -> Iterator[str]:
    """Serve `folder/notebooks`; yields the address with the token.

    The server has the project's settings and this Python as its kernel, and sees
    nothing of the user's own Jupyter.
    """
    home, log = folder / "jupyter", folder / "server.log"
    kernel = home / "share" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    python = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    words = {"argv": python, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(words))
    own = {
        "JUPYTER_CONFIG_PATH": ROOT / ".jupyter",
        "JUPYTER_PATH": home / "share",  # comes first wherever kernels are looked up
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "IPYTHONDIR": home / "ipython",
        "PYTHONPATH": ROOT,  # the notebooks are a copy, what they import is not
    }
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the browser works too
    inherited = {
        k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "PYTEST"))
    }
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1"]
    command += [f"--IdentityProvider.token={token}", "--ServerApp.port_retries=200"]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += ["--allow-root"] if is_root() else []
    with log.open("wb") as written:
        server = subprocess.Popen(
            command,
            env=inherited | threads | {k: str(v) for k, v in own.items()},
            stdout=written,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the tests first
        )
    try:
        yield f"{_address(server, home / 'runtime', log)}lab?token={token}"
    finally:
        server.send_signal(signal.SIGTERM)  # shuts its kernels down as well
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _address(server: "subprocess.Popen[bytes]", runtime: Path, log: Path) -> str:
    """Where it listens: it writes that down once it does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(file.read_text())["url"])
            except (json.JSONDecodeError, KeyError):
                pass  # half written
        time.sleep(0.05)
    raise RuntimeError(f"JupyterLab did not start; its log:\n{log.read_text()}")


# ---- a notebook in a page


class Notebook:
    """A notebook that is open in the page, with a kernel of its own, and who watches it.

    `faults()` tells everything that went wrong so far anywhere: in the page, on the
    browser's console, in a cell, a callback or a thread of the kernel, on the network.
    """

    def __init__(self, browser: Browser, address: str, name: str) -> None:
        self.name = name
        self._address = address
        self._heard: list[str] = []
        self.console: list[str] = []
        self.context: BrowserContext = browser.new_context(
            viewport=WINDOW,
            device_scale_factor=2 if PICTURES else 1,
            service_workers="block",
        )
        self.context.set_default_timeout(1000 * PATIENCE)
        self.context.route(OUTSIDE, self._refuse)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda e: self._heard.append(f"page: {e}"))
        self.page.on("websocket", lambda s: self._on_socket(s.url))

    def open(self) -> None:
        """Show it alone, without side bar, and wait for its kernel."""
        place = f"/workspaces/{secrets.token_hex(4)}/tree/{self.name}"
        self.page.goto(self._address.replace("/lab?", f"/lab{place}?"))
        self.page.wait_for_function(READY)
        self.page.evaluate(LISTEN)
        self.command("application:toggle-left-area")

    def close(self) -> None:
        """End the kernel and leave."""
        try:
            self.command("notebook:shutdown-kernel")
        finally:
            self.context.close()

    def _refuse(self, route: Route) -> None:
        self._heard.append(f"asked for {route.request.url}, outside this machine")
        route.abort()

    def _on_socket(self, url: str) -> None:
        if OUTSIDE.match(url):
            self._heard.append(f"asked for {url}, outside this machine")

    def _on_console(self, message: ConsoleMessage) -> None:
        line = f"{message.type}: {message.text}"
        self.console.append(line)
        if message.type in ("error", "warning"):
            self._heard.append(f"console {line}")

    # ---- what can be done

    def command(self, name: str, **arguments: Any) -> None:
        """One of Lab's own commands, to its end."""
        self._await(
            "([name, args]) => jupyterapp.commands.execute(name, args)",
            [name, arguments],
        )

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def run_cell(self, index: int) -> None:
        self._await(RUN, index)

    def run_code(self, source: str) -> str:
        """Add a cell at the end and run it; what it printed or gave back."""
        index = self.page.evaluate(INSERT, source)
        self.run_cell(index)
        outputs = self.cells()[index]["outputs"]
        return "".join(
            "".join(out.get("text") or out.get("data", {}).get("text/plain", ""))
            for out in outputs
        )

    def cells(self) -> list[dict[str, Any]]:
        """Of every cell: `code` (has any), `count` of its run, `outputs`."""
        return list(self.page.evaluate(CELLS))

    def faults(self) -> list[str]:
        """What went wrong since this was last asked."""
        kernel = self.page.evaluate("() => (window.heard ?? []).splice(0)")
        shown = self.page.locator(".mh-error").all_inner_texts()
        found = self._heard + [f"kernel {line}" for line in kernel]
        self._heard = []
        return found + [f"widget: {line}" for line in shown]

    def _await(self, script: str, argument: Any) -> None:
        """Run `script` in the page; unlike evaluate(), not for ever."""
        self.page.evaluate(
            f"argument => {{ window.verdict = null; Promise.resolve("
            f"({script})(argument)).then(() => {{ window.verdict = 'done'; }},"
            f"error => {{ window.verdict = String(error); }}); }}",
            argument,
        )
        self.page.wait_for_function("window.verdict", timeout=1000 * LONGEST_CELLS)
        verdict = self.page.evaluate("window.verdict")
        assert verdict == "done", verdict


@contextmanager
def chromium_at(path: str, playwright: Playwright) -> Iterator[Browser]:
    arguments = [*QUIET, *(["--no-sandbox"] if is_root() else [])]
    browser = playwright.chromium.launch(executable_path=path, args=arguments)
    try:
        yield browser
    finally:
        browser.close()
