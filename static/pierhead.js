// What a page that moves needs besides htmx: it asks when its stream says so, it rests while nobody looks, it leaves
// alone what somebody is using, it says when the server is gone, and it reads a change of the headline out once.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const connection = document.getElementById("connection");
  if (!live || !window.htmx) return;

  const APART = 500; // ms between two looks of a burst
  let pressed = false;
  let open = [];
  let scrolled = new Map();
  let heard = new Date();
  let headline = text("headline");
  let stream = null;
  let due = 0;
  let askedAt = 0;

  function text(id) {
    const found = document.getElementById(id);
    return found ? found.textContent : "";
  }

  function say(tone, words) {
    if (connection.dataset.tone === tone && connection.lastElementChild.textContent === words) return;
    connection.dataset.tone = tone;
    connection.lastElementChild.textContent = words;
  }

  function isSelecting() {
    const selection = window.getSelection();
    return selection !== null && !selection.isCollapsed && live.contains(selection.anchorNode);
  }

  function look() {
    if (due) return;
    due = window.setTimeout(() => {
      due = 0;
      if (pressed || isSelecting()) { look(); return; }
      askedAt = Date.now();
      window.htmx.trigger(live, "refresh");
    }, Math.max(20, askedAt + APART - Date.now()));
  }

  function gone() {
    say("bad", `No answer since ${heard.toLocaleTimeString()}: what you see is from then`);
    if (said.textContent !== "Pierhead does not answer.") said.textContent = "Pierhead does not answer.";
  }

  function listen() {
    if (stream || document.hidden) return;
    stream = new EventSource(live.dataset.stream);
    stream.addEventListener("open", () => { heard = new Date(); say("good", "Live"); look(); });
    stream.addEventListener("changed", look);
    stream.addEventListener("left", () => { rest(); look(); });
    stream.addEventListener("error", () => {
      gone();
      look();
      if (stream && stream.readyState === EventSource.CLOSED) {
        rest();
        window.setTimeout(listen, 2000);
      }
    });
  }

  function rest() {
    if (stream) stream.close();
    stream = null;
  }

  // A swap between press and release would lose the click.
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const ending of ["pointerup", "pointercancel"]) {
    document.addEventListener(ending, () => { window.setTimeout(() => { pressed = false; }, 100); });
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) rest();
    else listen();
  });
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", (event) => { if (event.persisted) listen(); });

  live.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });

  live.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) {
      heard = new Date();
      if (stream && stream.readyState === EventSource.OPEN) say("good", isSelecting() ? "Held while text is selected" : "Live");
    } else {
      gone();
    }
  });

  live.addEventListener("htmx:beforeSwap", (event) => {
    if (pressed || isSelecting()) {
      event.detail.shouldSwap = false;
      look();
      return;
    }
    open = Array.from(live.querySelectorAll("details[open]"), (one) => one.id);
    scrolled = new Map(Array.from(live.querySelectorAll("pre[id], details[open] pre"), (one) => [key(one), one.scrollTop]));
  });

  live.addEventListener("htmx:afterSwap", () => {
    for (const id of open) {
      const found = document.getElementById(id);
      if (found) found.open = true;
    }
    for (const one of live.querySelectorAll("pre")) one.scrollTop = scrolled.get(key(one)) || 0;
    if (text("headline") !== headline) {
      headline = text("headline");
      said.textContent = headline;
    }
  });

  function key(pre) {
    const around = pre.closest("details");
    return pre.id || (around ? around.id : "");
  }

  // Not before htmx hears: a stream that opens while another script is still on its way would ask for a look in vain.
  document.addEventListener("DOMContentLoaded", listen);
})();
