"use strict";

// All text goes in by textContent: names and messages come from servos.

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "exceptZero" });
const LIVE = ["describing", "baseline", "exploring", "verifying", "restoring"];

let view = null;
let token = sessionStorage.getItem("token");
let base = "/api/v1";

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function draw(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

async function ask(path, options) {
  const headers = token ? { Authorization: "Bearer " + token } : {};
  return fetch(path, { headers, cache: "no-store", ...options });
}

// The data.

async function choose() {
  const answer = await ask("/api/v1/apps");
  if (answer.status === 401 || answer.status === 403) {
    $("refused").textContent = token ? "The token is not known here." : "";
    $("token").hidden = false;
    return false;
  }
  $("token").hidden = true;
  const apps = await answer.json();
  const wanted = new URLSearchParams(location.search).get("app");
  const names = apps.map((app) => app.account + "/" + app.application);
  const name = names.includes(wanted) ? wanted : names[0];
  $("empty").hidden = names.length > 0;
  $("choose").hidden = names.length < 2;
  $("apps").replaceChildren(...names.map((each) => make("option", { value: each }, each)));
  if (!name) return false;
  $("apps").value = name;
  const [account, application] = name.split("/");
  base = "/api/v1/accounts/" + account + "/applications/" + application;
  return true;
}

async function load() {
  const answer = await ask(base + "/trials");
  if (!answer.ok) return;
  view = await answer.json();
  show();
}

// Reading the stream by fetch, since an EventSource cannot send a token.
async function follow() {
  const answer = await ask(base + "/events", { headers: { Accept: "text/event-stream", ...(token ? { Authorization: "Bearer " + token } : {}) } });
  if (!answer.ok) throw new Error("no events");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  await load();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data:"));
      const news = data ? JSON.parse(data.slice(5)) : null;
      if (!news) continue;
      if (news.kind === "progress" && view) {
        view.progress = news.data;
        showDoing();
      } else {
        soon();
      }
    }
  }
}

let timer = null;
function soon() {
  timer = timer || setTimeout(() => { timer = null; load().catch(() => {}); }, 100);
}

async function run() {
  for (;;) {
    try {
      if (await choose()) {
        $("content").hidden = false;
        await follow();
      } else if (!$("token").hidden) {
        return;
      }
    } catch {
      $("link").textContent = "service not reachable, trying again";
    }
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

// The page.

const format = (value) => (typeof value === "number" ? number.format(value) : String(value));

function settingsOf(trial) {
  const found = [];
  for (const [component, settings] of Object.entries(trial.settings)) {
    for (const [setting, value] of Object.entries(settings)) {
      const dimension = view.dimensions.find((each) => each.component === component && each.setting === setting);
      found.push({ component, setting, value, unit: (dimension && dimension.unit) || "" });
    }
  }
  return found;
}

const several = () => new Set(view.dimensions.map((each) => each.component)).size > 1;
const label = (each) => (several() ? each.component + " " : "") + each.setting;

function share(score) {
  const baseline = view.summary.baseline;
  if (!baseline || score === null || baseline.score === 0) return null;
  const gain = view.summary.maximize ? score - baseline.score : baseline.score - score;
  return gain / Math.abs(baseline.score);
}

function isBest(trial) {
  const best = view.summary.best;
  return Boolean(best) && best.trial === trial.number && view.summary.improvement > 0;
}

const sentence = (text) => (text ? text.charAt(0).toUpperCase() + text.slice(1) + "." : "");

let announced = null;
function show() {
  const { summary, servo } = view;
  document.title = summary.app + " - Optune";
  $("name").textContent = summary.app;
  $("state").textContent = summary.state;
  $("state").className = "state " + summary.state + (LIVE.includes(summary.state) ? " live" : "");
  $("link").textContent = !servo ? "" : servo.lost ? "servo lost" : servo.connected ? "servo connected" : "servo away";
  $("baseline").textContent = summary.baseline ? format(summary.baseline.score) : "\u2013";
  $("best").textContent = summary.best ? format(summary.best.score) : "\u2013";
  $("best-trial").textContent = !summary.best ? "nothing measured yet" : summary.best.trial ? "trial " + summary.best.trial : "settings as found";
  const { in_force: which } = summary;
  $("in-force").textContent = "In force: " + (which.trial ? "trial " + which.trial : which === "found" ? "settings as found" : "not known") + (summary.settings ? " (" + settingsOf(summary).map((each) => label(each) + " " + format(each.value)).join(", ") + ")" : "");
  $("gain").textContent = summary.improvement === null ? "\u2013" : percent.format(summary.improvement);
  $("gain").className = summary.improvement > 0 ? "good" : "";
  $("direction").textContent = summary.maximize ? "higher is better" : "lower is better";
  const { planned, scored, failed, lost } = summary.trials;
  $("count").textContent = scored + failed + " / " + planned;
  $("failures").textContent = (failed === 0 ? "none failed" : failed + " failed") + (lost ? ", " + lost + " lost" : "");
  const halted = ["paused", "failed"].includes(summary.state);
  $("pause").hidden = !halted;
  $("resume").hidden = summary.state !== "paused";
  $("why").textContent = halted ? sentence(summary.reason) : "";
  $("objective").textContent = summary.objective || "not known yet";
  showDoing();
  showPlot();
  showBest();
  showTable();
  const best = summary.best && summary.improvement > 0 ? summary.best.trial : null;
  if (best !== announced && best !== null) {
    $("news").textContent = "New best: trial " + best + ", score " + format(summary.best.score);
  }
  announced = best;
}

function showDoing() {
  const { summary, phase, progress } = view;
  if (summary.state === "paused") {
    $("doing").textContent = "Nothing is asked of the servo.";
    return;
  }
  const words = {
    waiting: "Waiting for the servo.",
    describing: "Asking what can be changed.",
    baseline: "Measuring the settings as they were found.",
    adjusting: "Applying trial " + phase.trial + ".",
    measuring: "Measuring trial " + phase.trial + ".",
    recovering: "Going back to the last good settings.",
    verifying: "Measuring the best settings against those found.",
    restoring: phase.trial ? "Applying the best settings." : "Restoring the settings as they were found.",
    ended: summary.state === "failed" ? "The study has failed." : sentence(summary.reason),
  };
  let text = words[phase.phase] || "";
  if (progress && phase.phase !== "ended") {
    if (progress.percent !== null) text += " " + Math.round(progress.percent) + "%";
    if (progress.message) text += " \u00b7 " + progress.message;
  }
  $("doing").textContent = text;
}

function showBest() {
  const { best, baseline, improvement } = view.summary;
  const shown = best && improvement > 0;
  $("best-card").hidden = !shown;
  if (!shown) return;
  $("best-settings").replaceChildren(...settingsOf(best).map((each) => {
    const before = baseline && baseline.settings[each.component] && baseline.settings[each.component][each.setting];
    const item = make("li", {}, make("span", {}, label(each)));
    if (before !== undefined && before !== each.value) item.append(make("del", {}, format(before)), "\u2192 ");
    item.append(make("b", {}, format(each.value) + (each.unit ? " " + each.unit : "")));
    return item;
  }));
}

function showTable() {
  const dimensions = view.dimensions;
  const head = [make("th", { scope: "col" }, "Trial"), make("th", { scope: "col", class: "number" }, "Score"), make("th", { scope: "col", class: "number" }, "To baseline")];
  for (const each of dimensions) {
    const cell = make("th", { scope: "col", class: each.domain.type === "range" ? "number" : "" }, label(each));
    if (each.unit) cell.append(" ", make("small", {}, each.unit));
    head.push(cell);
  }
  head.push(make("th", { scope: "col" }, "Outcome"));
  $("columns").replaceChildren(...head);
  const rows = view.trials.slice().reverse().map((trial) => row(trial, "trial"));
  const { baseline } = view.summary;
  if (baseline) rows.push(row({ number: 0, state: "baseline", score: baseline.score, settings: baseline.settings }));
  $("rows").replaceChildren(...rows);
}

function row(trial) {
  const gain = trial.number === 0 ? null : share(trial.score);
  const best = isBest(trial);
  const line = make("tr", { class: best ? "best" : trial.state, "data-trial": trial.number });
  line.append(
    make("td", {}, trial.number === 0 ? "baseline" : String(trial.number)),
    make("td", { class: "number" }, trial.score === null ? "\u2013" : format(trial.score)),
    make("td", { class: "number" }, gain === null ? "\u2013" : percent.format(gain)),
  );
  for (const each of view.dimensions) {
    const value = (trial.settings[each.component] || {})[each.setting];
    line.append(make("td", { class: each.domain.type === "range" ? "number" : "" }, value === undefined ? "\u2013" : format(value)));
  }
  const outcome = make("td", { class: "outcome" });
  if (best) outcome.append(make("b", {}, "best"));
  else if (trial.state === "failed" || trial.state === "lost") outcome.append(make("b", {}, trial.reason || trial.status || "failed"), " " + (trial.message || "").slice(0, 300));
  else if (trial.state === "running") outcome.append("running");
  else if (trial.number === 0) outcome.append("as found");
  line.append(outcome);
  return line;
}

// The plot.

// Round steps for an axis.
function steps(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

function showPlot() {
  const svg = $("chart");
  const focused = document.activeElement && document.activeElement.getAttribute("data-mark");
  const width = Math.max(280, $("plot").clientWidth);
  const narrow = width < 560;
  const height = narrow ? 240 : 330;
  const { summary, trials } = view;
  const scores = trials.map((trial) => trial.score).filter((score) => score !== null);
  if (summary.baseline) scores.push(summary.baseline.score);
  let low = scores.length ? Math.min(...scores) : 0;
  let high = scores.length ? Math.max(...scores) : 1;
  const pad = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  low -= pad;
  high += pad;
  const ticks = steps(low, high, narrow ? 4 : 5);
  const left = 12 + Math.max(...ticks.map((tick) => number.format(tick).length), 2) * 7;
  const box = { left, right: width - 14, top: 8, bottom: height - 48 };
  const last = Math.max(summary.trials.planned, trials.length, 1);
  const x = (trial) => box.left + 14 + (trial / last) * (box.right - box.left - 22);
  const y = (score) => box.bottom - ((score - low) / (high - low)) * (box.bottom - box.top);
  const parts = [];
  for (const tick of ticks) {
    parts.push(draw("line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }));
    parts.push(draw("text", { class: "axis", x: box.left - 8, y: y(tick) + 4, "text-anchor": "end" }, number.format(tick)));
  }
  parts.push(draw("line", { class: "grid", x1: box.left, x2: box.right, y1: box.bottom + 22, y2: box.bottom + 22 }));
  for (const tick of steps(0, last, narrow ? 5 : 10)) {
    if (Number.isInteger(tick)) parts.push(draw("text", { class: "axis", x: x(tick), y: height - 8, "text-anchor": "middle" }, String(tick)));
  }
  if (summary.baseline) {
    const at = y(summary.baseline.score);
    parts.push(draw("line", { class: "line-baseline", x1: box.left, x2: box.right, y1: at, y2: at }));
  }
  parts.push(...bestLine(x, y, box));
  const marks = [];
  if (summary.baseline) {
    marks.push(mark({ number: 0, state: "baseline", score: summary.baseline.score, settings: summary.baseline.settings }, x(0), y(summary.baseline.score)));
  }
  for (const trial of trials) marks.push(mark(trial, x(trial.number), trial.score === null ? box.bottom + 12 : y(trial.score)));
  svg.setAttribute("viewBox", "0 0 " + width + " " + height);
  svg.replaceChildren(...parts, ...marks);
  hideTip();
  const again = focused && svg.querySelector('[data-mark="' + focused + '"]');
  if (again) again.focus({ preventScroll: true });
  else if (marks.length) marks[marks.length - 1].setAttribute("tabindex", "0");
}

function bestLine(x, y, box) {
  const { summary, trials } = view;
  const better = (a, b) => (summary.maximize ? a > b : a < b);
  let best = summary.baseline ? summary.baseline.score : null;
  let path = best === null ? "" : "M" + x(0) + " " + y(best);
  for (const trial of trials) {
    if (trial.state === "running") continue;
    if (trial.score !== null && (best === null || better(trial.score, best))) {
      path += (path ? "H" + x(trial.number) + "V" : "M" + x(trial.number) + " ") + y(trial.score);
      best = trial.score;
    } else if (path) {
      path += "H" + x(trial.number);
    }
  }
  if (!path || !trials.length) return [];
  const ended = trials.filter((trial) => trial.state !== "running");
  const end = ended.length ? ended[ended.length - 1].number : 0;
  const floor = summary.baseline ? y(summary.baseline.score) : box.bottom;
  const area = path + "H" + x(end) + "V" + floor + "H" + x(0) + "Z";
  return [draw("path", { class: "area-best", d: area }), draw("path", { class: "line-best", d: path })];
}

function describe(trial) {
  const name = trial.number === 0 ? "Baseline" : "Trial " + trial.number;
  const gain = trial.number === 0 ? null : share(trial.score);
  let result = trial.state === "running" ? "running" : trial.state + ": " + (trial.reason || trial.status || "no reason given");
  if (trial.score !== null) result = "score " + format(trial.score) + (gain === null ? "" : " (" + percent.format(gain) + ")");
  const settings = settingsOf(trial).map((each) => label(each) + " " + format(each.value) + (each.unit ? " " + each.unit : ""));
  return { title: name + ", " + result + (isBest(trial) ? ", best" : ""), settings };
}

function mark(trial, x, y) {
  const text = describe(trial);
  const best = isBest(trial);
  const group = draw("g", {
    class: "mark " + trial.state + (best ? " best" : ""),
    "data-mark": trial.number,
    tabindex: -1,
    role: "img",
    "aria-label": text.title + ". " + text.settings.join(", "),
  });
  group.append(draw("circle", { class: "hit", cx: x, cy: y, r: 12 }));
  if (trial.state === "failed" || trial.state === "lost") group.append(draw("path", { d: "M" + (x - 4) + " " + (y - 4) + "l8 8m0 -8l-8 8" }));
  else group.append(draw("circle", { class: "dot", cx: x, cy: y, r: best ? 6.5 : 5 }));
  if (best) group.append(draw("circle", { class: "halo", cx: x, cy: y, r: 11 }));
  const tell = () => showTip(text, trial, x, y);
  group.addEventListener("pointerenter", tell);
  group.addEventListener("focus", tell);
  group.addEventListener("pointerleave", hideTip);
  group.addEventListener("blur", hideTip);
  return group;
}

function showTip(text, trial, x, y) {
  const tip = $("tip");
  tip.replaceChildren(make("strong", {}, text.title), ...text.settings.map((each) => make("div", {}, each)));
  tip.hidden = false;
  const space = $("plot").clientWidth;
  const left = Math.min(Math.max(0, x - tip.offsetWidth / 2), space - tip.offsetWidth);
  const above = y - tip.offsetHeight - 16;
  tip.style.left = left + "px";
  tip.style.top = (above > -60 ? above : y + 18) + "px";
  light(trial.number);
}

function hideTip() {
  $("tip").hidden = true;
  light(null);
}

function light(trial) {
  for (const line of $("rows").children) line.classList.toggle("lit", line.getAttribute("data-trial") === String(trial));
}

// Arrow keys walk from mark to mark: one stop of the tab key for the plot.
$("chart").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 }[event.key];
  if (!step) return;
  const marks = [...$("chart").querySelectorAll(".mark")];
  const at = marks.indexOf(document.activeElement);
  const next = marks[Math.min(Math.max(0, at + step), marks.length - 1)];
  if (!next) return;
  marks.forEach((each) => each.setAttribute("tabindex", "-1"));
  next.setAttribute("tabindex", "0");
  next.focus();
  event.preventDefault();
});

$("apps").addEventListener("change", () => {
  location.search = "?app=" + encodeURIComponent($("apps").value);
});

$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("secret").value.trim();
  sessionStorage.setItem("token", token);
  run();
});

$("resume").addEventListener("click", async () => {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: "Bearer " + token } : {}) };
  let said = "";
  try {
    const answer = await ask(base + "/resume", { method: "POST", headers, body: "{}" });
    if (!answer.ok) said = (await answer.json()).message || "The service refused.";
  } catch {
    said = "The service was not reachable.";
  }
  $("not-resumed").textContent = said;
  soon();
});

let drawnFor = 0;
new ResizeObserver(() => {
  if (!view || $("plot").clientWidth === drawnFor) return;
  drawnFor = $("plot").clientWidth;
  requestAnimationFrame(showPlot);
}).observe($("plot"));

run();
