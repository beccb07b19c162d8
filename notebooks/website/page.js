// Search, live plots and slides. Everything is there to read without this file.
"use strict";

const all = (what, where = document) => [...where.querySelectorAll(what)];
const byId = id => document.getElementById(id);
const scripts = {};
const load = name => scripts[name] ??= new Promise((done, failed) => {
  const script = document.createElement("script");
  Object.assign(script, { src: name, onload: done, onerror: failed });
  document.head.append(script);
});
const make = (name, parent, properties = {}) => {
  const made = Object.assign(document.createElement(name), properties);
  parent.append(made);
  return made;
};

// ---- what folds, what scrolls, what is printed

const narrow = matchMedia("(max-width: 60rem)");
const middle = matchMedia("(max-width: 84rem)");
for (const details of all(".course > details")) details.open = !narrow.matches;
for (const details of all(".contents > details")) details.open = !middle.matches;

const WIDE = "pre, .scroll, .formula, .stage";
const edge = box => {
  const hidden = box.scrollWidth - box.clientWidth;
  if (hidden > 1) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
  box.classList.toggle("more", hidden - box.scrollLeft > 1);
};
const reach = () => all(WIDE).forEach(edge);
addEventListener("scroll", ({ target }) => {
  if (target.matches?.(WIDE)) edge(target);
}, true);
addEventListener("resize", reach);
reach();

let folded = [];
addEventListener("beforeprint", () => {
  folded = all("details:not([open])");
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});

// ---- pictures that can be moved

const LOOK = { displayModeBar: false, responsive: true, scrollZoom: false };

// A state holds what differs from the first: null where a key is gone.
function changed(old, by) {
  if (by === null || typeof by !== "object" || Array.isArray(by)) return by ?? undefined;
  const made = Array.isArray(old) ? [...old] : { ...old };
  for (const key in by) made[key] = changed(made[key], by[key]);
  return made;
}

async function draw(figure) {
  const still = JSON.parse(figure.querySelector("script").textContent);
  await load("plotly.min.js");
  const stage = figure.querySelector(".stage");
  const caption = figure.querySelector("figcaption");
  const plot = make("div", stage, { className: "plot", role: "img" });
  plot.style.minWidth = `${still.narrowest}px`;
  const show = ({ sentence, changes }) => {
    plot.ariaLabel = caption.textContent = sentence;
    const { data, layout } = structuredClone(changed(still.figure, changes));
    return Plotly.react(plot, data, layout, LOOK);
  };
  stage.classList.add("drawn");
  await show({ sentence: caption.textContent, changes: {} });
  if (still.controls.length) offer(figure, still.controls, show);
  reach();
}

// One control is away from its first place at a time: those states are known.
function offer(figure, controls, show) {
  const box = make("div", figure, { className: "controls" });
  figure.querySelector(".stage").before(box);
  const resets = [];
  for (const { label, slides, options, first, states } of controls) {
    const row = make("label", box, { textContent: label });
    const picker = make(slides ? "input" : "select", row);
    const said = slides && make("output", row);
    if (slides) Object.assign(picker, { type: "range", min: 0, max: options.length - 1 });
    else for (const [value, text] of options.entries()) picker.add(new Option(text, value));
    const tell = () => {
      if (said) said.textContent = picker.ariaValueText = options[picker.value];
    };
    const reset = () => { picker.value = first; tell(); };
    resets.push(reset);
    picker.addEventListener("input", () => {
      for (const other of resets) if (other !== reset) other();
      tell();
      show(states[picker.value]);
    });
    reset();
    addEventListener("beforeprint", () => { reset(); show(states[first]); });
  }
  figure.querySelector("figcaption").role = "status";
  if (controls.length > 1) make("p", box, {
    className: "away",
    textContent: "Here one control moves at a time, and the others go back to where " +
      "they were first. In the notebook all of them move.",
  });
}

const near = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries)
    if (isIntersecting) {
      near.unobserve(target);
      draw(target);
    }
}, { rootMargin: "600px" });
for (const figure of all("figure:has(> script)")) near.observe(figure);

// ---- search

const query = byId("query"), results = byId("results");

const matcher = word => new RegExp(word, "iu");

// Matches a part of a word; a single letter only where it stands alone.
function pattern(word) {
  const safe = word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const letter = "[\\p{L}\\p{N}]";
  return matcher(`^${letter}$`).test(word) ? `(?<!${letter})${safe}(?!${letter})` : safe;
}

function find(words) {
  const each = words.map(matcher), together = matcher(words.join(" "));
  const rank = ([, title, heading, text]) => {
    const places = [heading, title, text];
    const scores = each.map(word => places.findIndex(place => word.test(place)));
    if (scores.includes(-1)) return -1;
    const first = places.some(place => together.test(place)) ? 3 : 0;
    return scores.reduce((sum, place) => sum + 3 - place, first);
  };
  return SECTIONS.map(section => [rank(section), section])
    .filter(([score]) => score > 0)
    .sort(([one], [other]) => other - one)
    .map(([, section]) => section);
}

// Where the words stand together, or else the first of them that is there.
function excerpt(text, words) {
  const places = [words.join(" "), ...words].map(word => text.search(matcher(word)));
  const place = places.find(place => place >= 0) ?? 0;
  const start = place && text.lastIndexOf(" ", place - 50) + 1;
  const end = text.indexOf(" ", place + 110);
  const shown = end < 0 ? text.slice(start) : `${text.slice(start, end)} …`;
  return start ? `… ${shown}` : shown;
}

function marked(text, words, parent) {
  const longest = [...words].sort().reverse();  // of two that begin alike
  const parts = text.split(matcher(`(${longest.join("|")})`));
  for (const [place, part] of parts.entries())
    if (place % 2) make("mark", parent, { textContent: part });
    else parent.append(part);
}

async function search() {
  await load("search.js");
  const words = query.value.split(/\s+/).filter(Boolean).map(pattern);
  const found = words.length ? find(words) : [];
  results.replaceChildren();
  results.hidden = !words.length;
  const shown = found.slice(0, 12), more = found.length > shown.length;
  const places = found.length === 1 ? "1 place" : `${found.length} places`;
  byId("found").textContent = !words.length ? "" :
    `${places} found${more ? `, the first ${shown.length} shown` : ""}`;
  for (const [address, title, heading, text] of shown) {
    const link = make("a", make("li", results), { href: address });
    marked(heading, words, make("b", link));
    if (title !== heading) marked(title, words, make("span", link));
    marked(excerpt(text, words), words, make("span", link));
  }
  if (words.length && !found.length)
    make("li", results, { textContent: "Nothing found. Fewer or shorter words?" });
}

if (query) {
  const box = query.parentElement;
  const close = () => { results.hidden = true; };
  box.hidden = false;
  query.addEventListener("input", search);
  query.addEventListener("focus", search);
  box.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !box.contains(relatedTarget)) close();
  });
  document.addEventListener("click", ({ target }) => {
    if (!box.contains(target) || target.closest("#results a")) close();
  });
  box.addEventListener("keydown", event => {
    const links = [query, ...all("a", results)];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const next = links.indexOf(document.activeElement) + step;
      links[(next + links.length) % links.length].focus();
      event.preventDefault();
    } else if (event.key === "Escape") {
      query.focus();
      close();
    } else if (event.key === "Enter" && event.target === query) links[1]?.click();
  });
  document.addEventListener("keydown", event => {
    if (event.key !== "/" || event.target.closest("input, select")) return;
    query.focus();
    event.preventDefault();
  });
}

// ---- slides

const slides = all(".slide");
const place = () => slides.findIndex(slide => slide.classList.contains("now"));

// How far a slide goes on beyond the edge that one moves towards.
function beyond(step) {
  const { scrollTop, scrollHeight, clientHeight } = slides[place()];
  return step < 0 ? scrollTop : scrollHeight - clientHeight - scrollTop;
}

function tell() {
  const more = beyond(1) > 1;
  byId("deck-place").textContent =
    `${place() + 1} / ${slides.length}${more ? ", more below" : ""}`;
  document.body.classList.toggle("unread", more);
}

function show(index) {
  const now = Math.min(Math.max(index, 0), slides.length - 1);
  slides.forEach((slide, place) => slide.classList.toggle("now", place === now));
  history.replaceState(null, "", `#slide-${now + 1}`);
  slides[now].scrollTop = 0;
  reach();
  tell();
}

// All of a slide is shown before the next.
function move(step) {
  const now = slides[place()];
  if (Math.abs(step) === 1 && beyond(step) > 1) now.scrollTop += step * 0.8 * now.clientHeight;
  else show(place() + step);
}

if (slides.length) {
  const asked = () => {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    return Math.max(0, slides.indexOf(target?.closest(".slide")));
  };
  const steps = {
    ArrowRight: 1, ArrowLeft: -1, PageDown: 1, PageUp: -1,
    Home: -slides.length, End: slides.length,
  };
  document.body.classList.add("running");
  show(asked());
  addEventListener("hashchange", () => show(asked()));
  addEventListener("scroll", tell, true);
  const sized = new ResizeObserver(tell);
  for (const part of all(".slide, .sheet, .notes")) sized.observe(part);
  document.addEventListener("keydown", event => {
    if (event.target.closest("select, input") || event.ctrlKey || event.altKey) return;
    if (event.key in steps) {
      move(steps[event.key]);
      event.preventDefault();
    }
    if (event.key.toLowerCase() === "n") document.body.classList.toggle("noted");
  });
  for (const button of all("[data-step]"))
    button.onclick = () => move(Number(button.dataset.step));
}
