"""A live plotly figure whose JavaScript is sent to the page once, for all figures.

Plotly sends its five megabytes with every figure, and a widget that is not ready two
seconds later never hears its kernel again: on a busy machine it stays empty. Here each
figure comes with a few lines that are ready at once, and wait for the rest.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import anywidget
import ipywidgets as W
import plotly
import plotly.graph_objects as go
import traitlets

__all__ = ["Picture"]

# `initialize` returns at once, so the kernel is heard from the beginning. What it says
# before plotly is here is kept in `missed`, and told to plotly's model then. A view
# that has left the page hears nothing any more.
WAIT = """
const MESSAGES = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout",
  "update", "animate", "removeLayoutProps", "removeTraceProps"].map(m => `_py2js_${m}`);

const load = async model => {
  const id = model.get("_plotly").replace("IPY_MODEL_", "");
  const shared = await model.widget_manager.get_model(id);
  const loaded = globalThis.minihyenaPlotly ??= {};
  return loaded[shared.get("version")] ??= import(URL.createObjectURL(
    new Blob([shared.get("source")], { type: "text/javascript" })));
};

export default () => {
  const lists = new Set();  // what plotly's model and each of its views listens to
  let list, plotly, here, told = {}, missed = [];
  const listen = begin => {
    lists.add(list = []);
    return begin();
  };
  const tell = name => {
    for (const calls of lists)
      for (const [event, call] of calls) if (event === `change:${name}`) call();
  };
  return {
    initialize({ model }) {
      const heard = {
        get: name => name in told ? told[name] : model.get(name),
        set: (name, value) => model.set(name, value),
        save_changes: () => model.save_changes(),
        on: (event, call) => list.push([event, call]),
      };
      for (const name of MESSAGES)
        model.on(`change:${name}`,
          () => missed ? missed.push([name, model.get(name)]) : tell(name));
      here = load(model).then(module => {
        plotly = module.default();
        listen(() => plotly.initialize({ model: heard }));
        for (const [name, value] of missed) {
          told = { [name]: value };
          tell(name);
        }
        told = {};
        missed = null;
      });
    },
    async render({ el }) {
      await here;
      const leave = listen(() => plotly.render({ el })), mine = list;
      return () => { lists.delete(mine); leave(); };
    },
  };
};
"""


class Plotly(anywidget.AnyWidget):
    """What all figures share: plotly's own module. It is never shown."""

    _esm = "export default { initialize() {} };"
    source = traitlets.Unicode().tag(sync=True)
    version = traitlets.Unicode(plotly.__version__).tag(sync=True)


@cache
def shared() -> Plotly:
    module = files("plotly") / "package_data/widgetbundle.js"
    return Plotly(source=module.read_text("utf-8"))


class Picture(go.FigureWidget):  # type: ignore[misc]
    """A FigureWidget that waits for plotly in the page."""

    _esm = WAIT
    _plotly = traitlets.Instance(Plotly).tag(sync=True, **W.widget_serialization)

    @traitlets.default("_plotly")
    def _first_plotly(self) -> Any:
        if shared().comm is None:  # somebody has closed all widgets
            shared.cache_clear()
        return shared()
