// The live page. Everything comes through request(), which sends the token, so that pictures and
// the event stream need neither a cookie nor a token in an address. Texts only ever become text
// nodes: nothing that a plate or a camera's name says is parsed as HTML.

const CAMERAS_EVERY = 2000; // ms between looks at the cameras
const PICTURE_EVERY = 400; // ms between looks for a new picture
const SILENCE = 25000; // ms without a sign of life after which the stream counts as broken
const PAGE_SIZE = 30;
const MOST = 300; // events that the list holds
const UNSURE = 0.8; // certainty below which a plate is marked
const SAY_EVERY = 3000; // ms between spoken events

const STAGES = {
  letterbox: "resize", detect: "detect", postprocess: "select", closer: "look closer",
  rectify: "straighten", read: "read", text: "decode",
};
const PARTS = { detection: "Find the plates", reading: "Read one plate" };
const DIRECTIONS = {
  approaching: "approaching", leaving: "leaving", left: "to the left", right: "to the right",
  still: "standing",
};
const STATES = {
  starting: "starting", running: "running", reconnecting: "reconnecting", ended: "ended",
  failed: "failed",
};
const ACCESS = { allow: "Allowed", deny: "Denied" };

const $ = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

const state = {
  cameras: [], camera: null, tag: null, latency: {}, pictures: new Map(),
  events: [], next: null, kept: true, lastEvent: null, lastSaid: 0, asked: 0,
};

// --- talking to the service ---------------------------------------------------------------------

class Refused extends Error {
  constructor(status, body) {
    super(body.error);
    Object.assign(this, { status, code: body.code, remedy: body.remedy });
  }
}

let unlocked = null; // resolves when the right token was typed

async function request(path, headers = {}, signal = undefined) {
  const token = sessionStorage.getItem("token");
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers: { ...headers, ...authorization }, cache: "no-store", signal };
  const response = await fetch(path, options);
  if (response.status === 401) {
    await unlock(token !== null);
    return request(path, headers, signal);
  }
  if (!response.ok && response.status !== 304) {
    const unknown = { error: `${response.status}`, code: "unknown", remedy: "" };
    throw new Refused(response.status, await response.json().catch(() => unknown));
  }
  return response;
}

function unlock(wrong) {
  unlocked ??= new Promise((resolve) => {
    sessionStorage.removeItem("token");
    $("wrong").hidden = !wrong;
    $("token").value = "";
    $("lock").showModal();
    $("unlock").onsubmit = () => {
      sessionStorage.setItem("token", $("token").value.trim());
      unlocked = null;
      resolve();
    };
  });
  return unlocked;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function visible() {
  while (document.hidden) await pause(PICTURE_EVERY);
}

function connected(yes) {
  $("alert").hidden = yes;
  if (!yes && !$("alert").textContent) {
    $("alert").textContent = "The connection to alpr-edge is lost. Trying again…";
  }
  if (yes) $("alert").textContent = "";
  else noConnection();
  showConnection(yes);
}

function noConnection() {
  $("view").toggleAttribute("data-stale", true);
  if ($("picture").hidden) {
    empty($("no-picture"), "No connection", "The picture comes back with the service.");
  }
}

// --- elements -----------------------------------------------------------------------------------

function make(tag, properties = {}, ...children) {
  const { data = {}, aria = {}, ...own } = properties;
  const element = Object.assign(document.createElement(tag), own);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

function say(text) {
  if (Date.now() - state.lastSaid < SAY_EVERY) return;
  state.lastSaid = Date.now();
  $("announcer").textContent = text;
}

function empty(box, title, hint) {
  box.hidden = false;
  box.querySelector(".title").textContent = title;
  box.querySelector(".hint").textContent = hint;
}

function when(seconds) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return (today ? clock : calendar).format(date);
}

const percent = (share) => `${(share * 100).toFixed(share > 0.999 ? 0 : 1)} %`;
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// --- cameras ------------------------------------------------------------------------------------

async function watchCameras() {
  for (;;) {
    await visible();
    try {
      state.cameras = (await (await request("/v1/cameras")).json()).cameras;
      connected(true);
      showCameras();
    } catch {
      connected(false);
    }
    await pause(CAMERAS_EVERY);
  }
}

function showConnection(yes) {
  const pill = $("connection");
  const running = state.cameras.filter((camera) => camera.state === "running").length;
  const total = state.cameras.length;
  pill.dataset.state = !yes ? "failed" : running === total ? "running" : "reconnecting";
  pill.firstElementChild.textContent = !yes ? "Offline"
    : total === 0 ? "Ready" : `${running} of ${total} running`;
}

function showCameras() {
  const names = state.cameras.map((camera) => camera.camera);
  if (!names.includes(state.camera)) {
    state.camera = names[0] ?? null;
    state.tag = null;
    $("picture").hidden = true;
  }
  showConnection(true);
  showTabs(names);
  offerCameras(names);
  showCamera(state.cameras.find((camera) => camera.camera === state.camera));
}

function showTabs(names) {
  const tabs = $("cameras");
  const same = names.join("\n") === [...tabs.children].map((tab) => tab.value).join("\n");
  if (!same) {
    tabs.replaceChildren(...names.map((name) => {
      const tab = make("button", { type: "button", value: name, textContent: name });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "view");
      tab.onclick = () => choose(name);
      return tab;
    }));
  }
  for (const [index, tab] of [...tabs.children].entries()) {
    const camera = state.cameras[index];
    tab.dataset.state = camera.state;
    tab.title = STATES[camera.state];
    tab.setAttribute("aria-selected", String(tab.value === state.camera));
    tab.setAttribute("aria-label", `${tab.value}, ${STATES[camera.state]}`);
    tab.tabIndex = tab.value === state.camera ? 0 : -1;
  }
}

function choose(name) {
  state.camera = name;
  state.tag = null;
  $("picture").hidden = true;
  showCameras();
}

function showCamera(camera) {
  $("camera-title").textContent = camera ? "Camera" : "Cameras";
  $("problem").hidden = !camera?.problem;
  $("problem").textContent = camera?.problem ?? "";
  $("view").toggleAttribute("data-stale", !!camera && camera.state !== "running");
  const nothing = $("no-picture");
  nothing.hidden = !$("picture").hidden;
  if (!camera) {
    empty(nothing, "No camera is configured",
      "Add one under [[cameras]] in the configuration and reload the service. Single pictures " +
      "can be read with POST /v1/read.");
  } else if ($("picture").hidden) {
    const titles = {
      starting: "Waiting for the first frame", running: "Waiting for the first frame",
      reconnecting: "The camera does not answer", ended: "The video has ended",
      failed: "This source cannot be watched",
    };
    const hint = camera.problem ? "What is wrong is told below." : "This takes a moment.";
    empty(nothing, titles[camera.state], hint);
  }
  showCaption(camera);
  if (camera?.view?.latency) state.latency[camera.camera] = camera.view.latency;
  showLatency(state.latency[camera?.camera]);
}

function showCaption(camera) {
  const view = camera?.view;
  $("caption").hidden = !view || $("picture").hidden;
  if (!view) return;
  const said = camera.state === "running"
    ? [`${camera.fps.toFixed(1)} frames a second`, plural(view.plates.length, "plate")]
    : [STATES[camera.state], `last frame ${when(view.time)}`];
  $("caption").textContent = [`${view.width} × ${view.height}`, ...said].join(" · ");
  const plates = view.plates.map((plate) => plate.text || "unread").join(", ");
  $("picture").alt = `Latest frame of ${camera.camera}; plates: ${plates || "none"}`;
}

async function watchPicture() {
  for (;;) {
    await visible();
    const name = state.camera;
    const camera = state.cameras.find((one) => one.camera === name);
    if (camera?.view) await newPicture(name).catch(() => {});
    await pause(PICTURE_EVERY);
  }
}

async function newPicture(name) {
  const headers = state.tag ? { "If-None-Match": state.tag } : {};
  const response = await request(`/v1/cameras/${encodeURIComponent(name)}/picture`, headers);
  if (response.status === 304 || name !== state.camera) return;
  const blob = await response.blob();
  const picture = $("picture");
  const before = picture.src;
  picture.src = URL.createObjectURL(blob);
  await picture.decode().catch(() => {});
  if (before) URL.revokeObjectURL(before);
  state.tag = response.headers.get("ETag");
  picture.hidden = name !== state.camera;
  showCamera(state.cameras.find((camera) => camera.camera === state.camera));
}

// --- time against the budget --------------------------------------------------------------------

function showLatency(latency) {
  $("no-latency").hidden = !!latency;
  $("verdict").hidden = !latency;
  $("bars").hidden = !latency;
  if (!latency) return;
  const parts = Object.entries(latency);
  const met = parts.every(([, part]) => part.ms <= part.budget_ms);
  $("verdict").dataset.met = String(met);
  $("verdict").firstElementChild.textContent = met ? "Within the budget" : "Over the budget";
  $("bars").replaceChildren(...parts.map(([name, part]) => bar(PARTS[name], part)));
}

function bar(title, part) {
  const scale = Math.max(part.ms, part.budget_ms);
  const track = make("div", { className: "track", aria: { hidden: "true" } });
  const keys = make("div", { className: "keys" });
  for (const [stage, ms] of Object.entries(part.stages)) {
    const piece = make("i");
    piece.style.width = `${100 * ms / scale}%`;
    track.append(piece);
    const text = `${STAGES[stage]} ${ms.toFixed(1)} ms`;
    keys.append(make("span", { className: "key", textContent: text }));
  }
  if (part.ms > part.budget_ms) {
    const over = make("b");
    over.style.left = `${100 * part.budget_ms / scale}%`;
    track.append(over);
  }
  const sum = make("strong", { textContent: `${part.ms.toFixed(1)} ms` });
  const head = make("div", { className: "head" }, make("span", { textContent: title }),
    make("span", {}, sum, ` of ${part.budget_ms} ms`));
  return make("div", { className: "part" }, head, track, keys);
}

// --- events -------------------------------------------------------------------------------------

function wanted() {
  return {
    text: $("text").value.trim(), camera: $("from-camera").value, access: $("access").value,
  };
}

async function loadEvents(more = false) {
  const asked = ++state.asked;
  const query = new URLSearchParams({ limit: PAGE_SIZE });
  for (const [name, value] of Object.entries(wanted())) if (value) query.set(name, value);
  if (more && state.next) query.set("before", state.next);
  try {
    const page = await (await request(`/v1/events?${query}`)).json();
    if (asked !== state.asked) return; // something else was typed meanwhile
    state.kept = true;
    state.next = page.next;
    state.events = more ? [...state.events, ...page.events] : page.events;
  } catch (error) {
    if (asked !== state.asked) return;
    state.kept = error.code !== "no_store";
    if (state.kept) connected(false);
  }
  $("events").setAttribute("aria-busy", "false");
  showEvents();
}

function offerCameras(names) {
  const select = $("from-camera");
  const known = [...select.options].map((option) => option.value);
  for (const name of names.filter((one) => !known.includes(one))) select.add(new Option(name, name));
}

function matches(event) {
  const { text, camera, access } = wanted();
  const part = text.toUpperCase().replace(/[ \-.·]/g, "");
  return event.text.toUpperCase().includes(part) && (!camera || event.camera === camera) &&
    (!access || event.known?.access === access);
}

function takeEvent(event) {
  const index = state.events.findIndex((one) => one.id === event.id);
  const fresh = index < 0;
  if (fresh && !matches(event)) return;
  if (fresh) {
    state.events = [event, ...state.events];
    if (state.events.length > MOST) {
      state.events = state.events.slice(0, MOST);
      if (state.kept) state.next = state.events[MOST - 1].id; // "More" goes on with what was cut
    }
  } else if (event.final || !state.events[index].final) state.events[index] = event;
  showEvents(fresh ? event.id : null);
  if (fresh) {
    const known = event.known ? `, ${ACCESS[event.known.access].toLowerCase()}` : "";
    say(`Plate ${event.text.split("").join(" ")} at ${event.camera}${known}`);
  }
}

function showEvents(fresh = null) {
  const list = $("events");
  const rows = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const wantedRows = state.events.filter(matches).map((event) => {
    const row = rows.get(keyOf(event)) ?? eventRow(event);
    row.firstElementChild.classList.toggle("new", event.id === fresh);
    return row;
  });
  const focused = document.activeElement?.closest?.("#events li")?.dataset.event;
  placeRows(list, wantedRows);
  if (focused) rowOf(focused)?.firstElementChild.focus({ preventScroll: true });
  forgetPictures();
  $("more").hidden = !state.next;
  $("count").textContent = !state.kept ? "Not kept: no store is configured"
    : wantedRows.length ? `${wantedRows.length}${state.next ? "+" : ""} shown` : "";
  if (wantedRows.length) $("no-events").hidden = true;
  else noEvents();
}

function placeRows(list, rows) {
  for (const row of [...list.children]) if (!rows.includes(row)) row.remove();
  rows.forEach((row, index) => {
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
  });
}

function noEvents() {
  const { text, camera, access } = wanted();
  if (text || camera || access) {
    empty($("no-events"), text ? `No plate matches “${text}”` : "No plate matches",
      "Try fewer characters, or all cameras and plates.");
  } else {
    empty($("no-events"), "No plate yet",
      "A plate appears here as soon as enough reads of it agree.");
  }
}

const keyOf = (event) => event.key;
const rowOf = (id) => document.querySelector(`#events li[data-event="${CSS.escape(id)}"]`);

function eventRow(event) {
  const crop = make("img", { className: "crop", alt: "", loading: "lazy" });
  showPicture(crop, event, "crop");
  const badge = event.known
    ? make("span", { className: "badge", data: { access: event.known.access },
      textContent: event.known.label || ACCESS[event.known.access] })
    : make("span", { className: "badge", textContent: percent(event.confidence),
      data: event.confidence < UNSURE ? { low: "" } : {} });
  const facts = [when(event.last_seen), event.camera];
  facts.push(event.final ? DIRECTIONS[event.direction] : "here now");
  const button = make("button", { type: "button", className: "event" }, crop,
    make("span", { className: "plate", textContent: event.text }), badge,
    make("span", { className: "when", textContent: facts.join(" · ") }));
  button.onclick = () => showDetails(event);
  return make("li", { data: { key: event.key, event: event.id } }, button);
}

async function showPicture(image, event, kind) {
  const key = `${event.key}-${kind}`;
  try {
    if (!state.pictures.has(key)) {
      const response = await request(`/v1/events/${event.id}/${kind}`);
      state.pictures.set(key, URL.createObjectURL(await response.blob()));
    }
    image.src = state.pictures.get(key);
    image.hidden = false;
    return true;
  } catch {
    return false; // none is kept: the text stands alone
  }
}

function forgetPictures() {
  const shown = new Set(state.events.map(keyOf));
  for (const [key, url] of state.pictures) {
    if (shown.has(key.replace(/-(crop|scene)$/, ""))) continue;
    URL.revokeObjectURL(url);
    state.pictures.delete(key);
  }
}

// --- one event ----------------------------------------------------------------------------------

async function showDetails(event) {
  $("details-title").textContent = event.text;
  $("facts").replaceChildren(...facts(event).flatMap(([name, value]) => [
    make("dt", { textContent: name }), make("dd", { textContent: value }),
  ]));
  const hashed = event.char_confidences.length !== event.text.length;
  $("characters").replaceChildren(...(hashed ? [] : event.char_confidences.map(
    (share, index) => make("div", { className: "character plate" }, event.text[index],
      make("meter", { min: 0, max: 1, low: 0.5, high: 0.9, optimum: 1, value: share }),
      make("small", { textContent: percent(share).replace(" ", "") })))));
  $("scene-box").hidden = true;
  $("no-scene").hidden = true;
  $("crop").hidden = true;
  $("details").showModal();
  showPicture($("crop"), event, "crop");
  $("outline").setAttribute("viewBox", `0 0 ${event.width} ${event.height}`);
  $("outline").firstElementChild.setAttribute("points", event.quad.join(" "));
  $("scene").alt = `${event.camera} when ${event.text} was seen best`;
  const found = await showPicture($("scene"), event, "scene");
  $("scene-box").hidden = !found;
  $("no-scene").hidden = found;
}

function facts(event) {
  const reads = `${event.agreeing} of ${event.reads} reads agree, ${percent(event.confidence)} certain`;
  const origin = [event.region, event.kind, event.rows === 2 ? "two rows" : null];
  const known = event.known && [
    ACCESS[event.known.access], event.known.label, event.known.text,
    event.known.distance ? `differs by ${plural(event.known.distance, "character")}` : "",
  ].filter(Boolean).join(" · ");
  const corrected = event.correction &&
    `read as ${event.correction.read}, changed by the layout of ${event.correction.grammar}`;
  return [
    ["Camera", event.camera], ["First seen", when(event.first_seen)],
    ["Last seen", event.final ? when(event.last_seen) : "here now"],
    ["Moved", DIRECTIONS[event.direction]], ["Certainty", reads], ["Known plate", known],
    ["Corrected", corrected], ["Plate", origin.filter(Boolean).join(", ")],
    ["From frame to event", `${Math.round(event.latency_ms)} ms`],
  ].filter(([, value]) => value);
}

// --- the stream ---------------------------------------------------------------------------------

async function watchEvents() {
  for (;;) {
    const broken = new AbortController();
    const headers = state.lastEvent ? { "Last-Event-ID": state.lastEvent } : {};
    try {
      const response = await request("/v1/events/stream", headers, broken.signal);
      loadEvents();
      await listen(response.body.pipeThrough(new TextDecoderStream()).getReader(), broken);
    } catch {
      // the look at the cameras tells whether the service is away
    }
    await pause(CAMERAS_EVERY);
  }
}

async function listen(reader, broken) {
  let buffer = "";
  for (;;) {
    const silence = setTimeout(() => broken.abort(), SILENCE);
    const { value, done } = await reader.read().finally(() => clearTimeout(silence));
    if (done) return;
    const messages = (buffer + value).split("\n\n");
    buffer = messages.pop();
    for (const text of messages) takeMessage(text);
  }
}

function takeMessage(text) {
  const lines = text.split("\n").map((line) => line.split(/: (.*)/s));
  const fields = Object.fromEntries(lines.map(([name, value]) => [name, value]));
  if (fields.event !== "plate") return;
  state.lastEvent = fields.id;
  takeEvent(JSON.parse(fields.data));
}

// --- keyboard, theme ----------------------------------------------------------------------------

function moveFocus(items, step, event) {
  const at = items.indexOf(document.activeElement);
  const steps = { first: 0, last: items.length - 1, next: at + 1, back: at - 1 };
  const item = items[Math.min(items.length - 1, Math.max(0, steps[step]))];
  if (!item) return null;
  event.preventDefault();
  item.focus();
  return item;
}

const LIST_KEYS = { ArrowDown: "next", ArrowUp: "back", Home: "first", End: "last" };
const TAB_KEYS = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "last" };

function onKey(event) {
  const target = event.target;
  const typing = target.matches("input, select, textarea");
  const rows = [...document.querySelectorAll(".event")];
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("text").focus();
  } else if (target === $("text") && event.key === "Escape") {
    $("text").value = "";
    loadEvents();
  } else if (target === $("text") && event.key === "ArrowDown") {
    moveFocus(rows, "first", event);
  } else if (target.closest("#events") && event.key in LIST_KEYS) {
    if (event.key === "ArrowUp" && rows.indexOf(target) === 0) $("text").focus();
    else moveFocus(rows, LIST_KEYS[event.key], event);
  } else if (target.closest("#cameras") && event.key in TAB_KEYS) {
    const tab = moveFocus([...$("cameras").children], TAB_KEYS[event.key], event);
    if (tab) choose(tab.value);
  }
}

const THEMES = ["auto", "light", "dark"];

function showTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").lastElementChild.textContent = theme;
  $("theme").setAttribute("aria-label", `Theme: ${theme}; change it`);
}

function begin() {
  let theme = localStorage.getItem("theme") ?? "auto";
  if (!THEMES.includes(theme)) theme = "auto";
  showTheme(theme);
  $("theme").onclick = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem("theme", theme);
    showTheme(theme);
  };
  let typed;
  $("search").onsubmit = (event) => event.preventDefault();
  $("search").oninput = () => {
    clearTimeout(typed);
    typed = setTimeout(() => loadEvents(), 200);
  };
  $("more").onclick = () => loadEvents(true);
  $("lock").oncancel = (event) => event.preventDefault();
  document.querySelector("[data-close]").onclick = () => $("details").close();
  $("details").onclick = (event) => {
    if (event.target === $("details")) $("details").close();
  };
  document.addEventListener("keydown", onKey);
  watchCameras();
  watchPicture();
  watchEvents();
}

begin();
