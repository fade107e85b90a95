// The little that the page needs besides htmx: it rests while nobody looks, it leaves alone what somebody is
// using, it says so when the server is gone, and it reads a change of the headline out once.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  const connection = document.getElementById("connection");
  if (!live || !window.htmx) return;

  let pressed = false;
  let open = [];
  let scrolled = new Map();
  let heard = new Date();
  let headline = text("headline");

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

  // A swap between press and release would lose the click.
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const ending of ["pointerup", "pointercancel"]) {
    document.addEventListener(ending, () => { window.setTimeout(() => { pressed = false; }, 100); });
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) window.htmx.trigger(live, "refresh");
  });

  live.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });

  live.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) {
      heard = new Date();
      if (isSelecting()) say("idle", "Held while text is selected");
      else say("good", "Live");
    } else {
      say("bad", `No answer since ${heard.toLocaleTimeString()}: what you see is from then`);
      if (said.textContent !== "Pierhead does not answer.") said.textContent = "Pierhead does not answer.";
    }
  });

  live.addEventListener("htmx:beforeSwap", (event) => {
    if (pressed || isSelecting()) {
      event.detail.shouldSwap = false;
      return;
    }
    open = Array.from(live.querySelectorAll("details[open]"), (one) => one.id);
    scrolled = new Map(open.map((id) => [id, document.querySelector(`#${CSS.escape(id)} pre`).scrollTop]));
  });

  live.addEventListener("htmx:afterSwap", () => {
    for (const id of open) {
      const found = document.getElementById(id);
      if (!found) continue;
      found.open = true;
      found.querySelector("pre").scrollTop = scrolled.get(id) || 0;
    }
    if (text("headline") !== headline) {
      headline = text("headline");
      said.textContent = headline;
    }
  });

  say("good", "Live");
})();
