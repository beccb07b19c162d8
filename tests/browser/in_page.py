"""What is asked of the page itself, in its own language."""

__all__ = [
    "AT_THE_END", "CELLS", "CLIPPED", "CONTRASTS", "CURVE", "DRAWN", "FITTED", "INSERT",
    "INTERRUPT", "LISTEN", "MOVABLE", "PLACE", "READY", "RUN",
]  # fmt: skip

# The toolbar says "idle" even before there is a kernel: ask the connection instead.
READY = """() => {
  const shown = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = shown?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""

# Errors of callbacks and threads belong to no cell, yet all pass by here. Left out is
# what the kernel says when Lab asks for widgets before ipywidgets is imported.
LISTEN = """() => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  window.heard = [];
  kernel.iopubMessage.connect((_, { header, content }) => {
    if (header.msg_type === "error") {
      window.heard.push(content.ename + ": " + content.evalue);
      console.debug(content.traceback.join("\\n").replace(/\\x1b\\[[0-9;]*m/g, ""));
    }
    if (header.msg_type === "stream" && content.name === "stderr"
        && !content.text.startsWith("No such comm"))
      window.heard.push("stderr: " + content.text);
  });
}"""

RUN = """async index => {
  const notebook = jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  notebook.deselectAll();
  await jupyterapp.commands.execute("notebook:run-cell");
}"""

INTERRUPT = "() => jupyterapp.commands.execute('notebook:interrupt-kernel')"

INSERT = """source => {
  const { model } = jupyterapp.shell.currentWidget.content;
  const index = model.cells.length;
  model.sharedModel.insertCell(index, { cell_type: "code", source });
  return index;
}"""

CELLS = """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells)
  .map(({ type, executionCount, outputs, sharedModel }) => ({
    code: type === "code" && sharedModel.getSource().trim() !== "",
    count: executionCount, outputs: outputs?.toJSON() ?? [],
  }))"""

# Dropdowns are <select>, sliders are handles that say where they are.
MOVABLE = """e => e.matches("select") ? !e.disabled && e.length > 1
  : !e.closest("[disabled]") && e.ariaValueMin !== e.ariaValueMax"""

AT_THE_END = """e => e.matches("select") ? e.selectedIndex === e.length - 1
  : e.ariaValueNow === e.ariaValueMax"""

PLACE = "e => e.matches('select') ? e.selectedIndex : e.ariaValueNow"

DRAWN = """card => Array.from(card.querySelectorAll(".main-svg"), s => s.innerHTML)
  .join()"""

CURVE = """(card, name) => Array.from(card.querySelector(".js-plotly-plot")
  ._fullData.find(trace => trace.name === name).y)"""

# The notebook reaches to the side bar at the right, and pictures fill their place.
FITTED = """width => {
  const panel = document.querySelector(".jp-NotebookPanel").getBoundingClientRect();
  const gap = innerWidth - panel.right;
  return innerWidth === width && gap >= 0 && gap < 100
    && Array.from(document.querySelectorAll(".minihyena .js-plotly-plot"))
      .every(plot => plot._fullLayout.width === plot.clientWidth);
}"""

# What sticks out of a widget, is cut off in it, or makes the notebook scroll sideways.
CLIPPED = """() => {
  const found = [];
  const name = e => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""}`
    + ` "${(e.textContent ?? "").trim().slice(0, 40)}"`;
  for (const card of document.querySelectorAll(".minihyena")) {
    const edge = card.getBoundingClientRect();
    const page = card.closest(".jp-OutputArea-output");
    const sheet = card.closest(".jp-WindowedPanel-outer").getBoundingClientRect();
    if (page.scrollWidth > page.clientWidth + 1 || edge.right > sheet.right + 1)
      found.push(`${name(card)} is wider than the notebook`);
    for (const e of card.querySelectorAll("*")) {
      const box = e.getBoundingClientRect();
      if (e.ownerSVGElement || !box.width || !box.height) continue;
      if (e.parentElement.closest("select, .mh-table, .mh-text, .mh-sideways"))
        continue;
      if (box.right > edge.right + 1 || box.left < edge.left - 1)
        found.push(`${name(e)} reaches ${Math.round(box.right - edge.right)} px out`);
      else if (e.matches("button, .widget-label, .widget-readout")
               && e.scrollWidth > e.clientWidth + 1)
        found.push(`${name(e)} is cut off`);
    }
  }
  return found;
}"""

# All text in widgets: its contrast (WCAG 2) to what lies behind it, and which it is.
CONTRASTS = """() => {
  const brush = document.createElement("canvas").getContext("2d",
    { willReadFrequently: true });
  const rgba = colour => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) =>
    [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const behind = e => {
    if (!e) return [255, 255, 255, 1];
    const own = rgba(getComputedStyle(e).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(e.parentElement));
  };
  const luminance = colour => {
    const [r, g, b] = colour.slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const e of document.querySelectorAll(".minihyena, .minihyena *")) {
    const text = e.matches("select") ? e.selectedOptions[0]?.text
      : Array.from(e.childNodes).filter(n => n.nodeType === 3)
          .map(n => n.data).join("").trim();
    if (!text || !e.getClientRects().length || e.closest("[disabled], style")) continue;
    const style = getComputedStyle(e), ground = behind(e);
    const ink = over(rgba(e.ownerSVGElement ? style.fill : style.color), ground);
    const [dark, light] = [luminance(ink), luminance(ground)].sort((a, b) => a - b);
    found.push([(light + 0.05) / (dark + 0.05), `"${text.slice(0, 40)}"`
      + ` rgb(${ink.slice(0, 3).map(Math.round)})`
      + ` on rgb(${ground.slice(0, 3).map(Math.round)})`]);
  }
  return found;
}"""
