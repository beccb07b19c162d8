// A live plotly figure that is ready at once, and misses nothing of what its kernel says.

const MESSAGES = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout",
  "update", "animate", "removeLayoutProps", "removeTraceProps"].map(m => `_py2js_${m}`);

// Plotly's own module, from the widget that all figures share.
const load = async model => {
  const id = model.get("_plotly").replace("IPY_MODEL_", "");
  const shared = await model.widget_manager.get_model(id);
  const loaded = globalThis.minihyenaPlotly ??= {};
  const version = shared.get("description");
  return loaded[version] ??= import(URL.createObjectURL(
    new Blob([shared.get("value")], { type: "text/javascript" })
  )).catch(error => { delete loaded[version]; throw error; });
};

// If the page is too busy for two seconds while anywidget makes a model, that model
// hears nothing for good. From here on ours hears what its parent's kind would. Whether
// it has missed something: the first word, or all that came before the page was opened.
const hasMissed = async model => {
  const old = model.get("_heard");
  await new Promise(go => setTimeout(go));  // what waits at the door comes first
  const own = await model.widget_manager.get_model(model.get("_own"));
  if (!own.comm) return false;  // there is no kernel
  const parent = Object.getPrototypeOf(own.constructor.prototype);
  own.comm.on_msg(parent._handle_comm_msg.bind(own));
  return old || !model.get("_heard");
};

// Plotly's model takes what is to be left alone, of some traces, for what is to be
// removed: it gets a message for every trace, without that.
const parts = message => {
  const kind = ["style", "restyle"].find(k => Array.isArray(message?.[`${k}_traces`]));
  if (!kind) return [message];
  const changes = Object.entries(message[`${kind}_data`]);
  return message[`${kind}_traces`].map((trace, i) => ({ ...message,
    [`${kind}_traces`]: [trace],
    [`${kind}_data`]: Object.fromEntries(changes
      .map(([key, all]) => [key, Array.isArray(all) ? [all[i]] : all])
      .filter(([, one]) => one?.[0] !== "_undefined_")),
  }));
};

export default () => {
  const lists = new Set();  // what plotly's model and each of its views listens to
  const views = new Map();  // element -> how to end the view in it
  let list, mirror, plotly, here, asking = false, told = {}, missed = [];

  const listen = begin => {
    const mine = list = [];
    lists.add(mine);
    const end = begin();
    return () => { lists.delete(mine); end?.(); };
  };
  const tell = (name, message) => {
    for (const calls of lists)
      for (const part of calls === mirror ? parts(message) : [message]) {
        told = { [name]: part };
        for (const [event, call] of calls) if (event === `change:${name}`) call();
      }
    told = {};
  };
  const draw = el => {
    views.set(el, () => {});
    views.set(el, listen(() => plotly.render({ el })));
  };

  return {
    initialize({ model }) {
      const seen = {  // the model, as plotly sees it
        get: name => name in told ? told[name] : model.get(name),
        set: (name, value) => model.set(name, value),
        save_changes: () => model.save_changes(),
        on: (event, call) => list.push([event, call]),
      };
      for (const name of MESSAGES)
        model.on(`change:${name}`, () => {
          if (missed) missed.push([name, model.get(name)]);
          else if (!asking) tell(name, model.get(name));
        });
      model.on("msg:custom", () => {  // the whole figure has come again
        asking = false;
        if (missed) missed = [];
        for (const [el, end] of [...views]) {
          end();
          draw(el);
        }
      });
      here = load(model).then(module => {
        plotly = module.default();
        listen(() => { plotly.initialize({ model: seen }); });
        mirror = list;
        for (const [name, message] of asking ? [] : missed) tell(name, message);
        missed = null;
      });
      hasMissed(model).then(yes => {
        if (asking = yes) model.send("again");
      });
    },
    async render({ el, signal }) {
      await here;
      if (signal?.aborted) return;
      draw(el);
      return () => { views.get(el)(); views.delete(el); };
    },
  };
};
