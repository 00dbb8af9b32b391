// Keeps an open page true: asks for its changing parts every two seconds while it is looked at, and counts ages up.
// Everything works without it; it only saves the reader from loading the page again.
"use strict";

(() => {
  const EVERY = 2000;
  const SLOWEST = 30000;
  const STEPS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  let tag = null;
  let wait = EVERY;
  let failures = 0;
  let lastAnswer = Date.now();
  let clockError = 0;

  const byId = (id) => document.getElementById(id);

  const ago = (seconds) => {
    const size = Math.abs(seconds);
    const step = STEPS.find(([, each]) => size >= each);
    if (!step) return "now";
    const text = `${Math.floor(size / step[1])} ${step[0]}`;
    return seconds > 0 ? `${text} ago` : `in ${text}`;
  };

  const countAges = () => {
    const now = Date.now() + clockError;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = ago(Math.floor((now - Date.parse(time.dateTime)) / 1000));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // What the reader is doing must survive: an open fold, the focus, a half-filled form, marked text.
  const inUse = (part) => {
    const focus = document.activeElement;
    if (focus && part.contains(focus) && focus.matches("input:not([type=hidden]), select, textarea")) return true;
    for (const field of part.querySelectorAll("input, textarea")) {
      if (field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue) return true;
    }
    const marked = document.getSelection();
    return Boolean(marked && !marked.isCollapsed && marked.anchorNode && part.contains(marked.anchorNode));
  };

  const focusPath = (part) => {
    const focus = document.activeElement;
    if (!focus || !part.contains(focus)) return null;
    const alike = [...part.querySelectorAll(focus.tagName)].filter((each) => sameTarget(each, focus));
    return { name: focus.tagName, like: focus, place: alike.indexOf(focus) };
  };

  const sameTarget = (one, other) =>
    one.getAttribute("href") === other.getAttribute("href") && one.textContent === other.textContent;

  const restoreFocus = (part, path) => {
    if (!path) return;
    const alike = [...part.querySelectorAll(path.name)].filter((each) => sameTarget(each, path.like));
    (alike[path.place] || alike[0] || byId("main")).focus({ preventScroll: true });
  };

  const exchange = (fresh) => {
    const old = byId(fresh.id);
    if (!old || inUse(old)) return old === null;
    const open = new Map([...old.querySelectorAll("details[data-keep]")].map((each) => [each.dataset.keep, each.open]));
    for (const fold of fresh.querySelectorAll("details[data-keep]")) {
      if (open.has(fold.dataset.keep)) fold.open = open.get(fold.dataset.keep);
    }
    const path = focusPath(old);
    old.replaceWith(fresh);
    restoreFocus(fresh, path);
    return true;
  };

  const tellAway = (message) => {
    const banner = byId("away");
    banner.hidden = !message;
    document.body.classList.toggle("stale", Boolean(message));
    const text = banner.querySelector("span");
    if (text.textContent !== message) text.textContent = message;
  };

  const renewTime = (response) => {
    const at = Date.parse(response.headers.get("date") || "");
    if (!at) return;
    clockError = at - Date.now();
    lastAnswer = at;
    const time = document.querySelector("#as-of time");
    const stamp = new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
    time.dateTime = stamp;
    const full = `${stamp.slice(0, 10)} ${stamp.slice(11, 19)} UTC`;
    time.title = full;
    document.querySelector("#as-of .nowrap").textContent = full;
  };

  const look = async () => {
    const part = document.querySelector("[data-live]");
    if (!part) return;
    const started = performance.now();
    try {
      const headers = tag ? { "If-None-Match": tag } : {};
      const response = await fetch(part.dataset.live, { headers, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(15000) });
      if (response.type === "opaqueredirect" || response.status === 401) {
        tellAway("You are signed out. Load the page again to sign in.");
        wait = SLOWEST;
        return;
      }
      if (response.status === 404 || response.status === 403) {
        tellAway("This is not there any more, or you may no longer see it.");
        wait = SLOWEST;
        return;
      }
      if (response.status !== 304 && !response.ok) throw new Error(String(response.status));
      failures = 0;
      tellAway("");
      renewTime(response);
      if (response.status !== 304) {
        const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
        const done = [...fresh.body.children].filter((each) => each.id).map((each) => exchange(document.adoptNode(each)));
        // A part that the reader was using stays as it was: ask for it again, whether it is news by then or not.
        tag = done.every(Boolean) ? response.headers.get("etag") : null;
        countAges();
      }
      wait = Math.min(SLOWEST, Math.max(EVERY, 10 * (performance.now() - started)));
    } catch (problem) {
      failures += 1;
      wait = Math.min(SLOWEST, EVERY * 2 ** failures);
      if (failures > 1) tellAway(`No answer since ${new Date(lastAnswer).toISOString().slice(11, 19)} UTC; what you see is from then.`);
    }
  };

  let timer = 0;
  const again = () => {
    clearTimeout(timer);
    if (document.visibilityState === "visible") timer = setTimeout(async () => { await look(); again(); }, wait);
  };

  document.addEventListener("visibilitychange", async () => {
    if (document.visibilityState !== "visible") return clearTimeout(timer);
    wait = EVERY;
    await look();
    again();
  });

  // A menu closes with Escape, and when the reader goes elsewhere.
  const menus = () => document.querySelectorAll("details.menu[open], details.more[open]");
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const menu of menus()) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
    const typing = event.target.closest && event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const search = document.querySelector("[data-hotkey='/']");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
    const fold = event.target.closest("[data-fold]");
    if (fold) for (const each of document.querySelectorAll("details.diff")) each.open = fold.dataset.fold === "open";
  });

  // One click is one deed.
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll("button")) {
      if (event.target.method === "post") setTimeout(() => { button.disabled = true; }, 0);
    }
  });

  for (const each of document.querySelectorAll("[data-fold]")) each.hidden = false;
  const first = document.querySelector("[data-first]");
  if (first) first.focus();
  setInterval(countAges, 1000);
  if (document.querySelector("[data-live]")) again();
})();
