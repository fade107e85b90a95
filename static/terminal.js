// A terminal in a container: what it prints comes by an event stream, what is typed goes up in numbered batches, one
// after the other, so that none overtakes another; a batch that got no answer is sent again and not typed twice.
(() => {
  "use strict";
  const form = document.getElementById("terminal-form");
  const box = document.getElementById("terminal");
  const state = document.getElementById("terminal-state");
  const lines = document.getElementById("terminal-lines");
  const ending = document.getElementById("terminal-end");
  if (!form || !window.Terminal) return;
  const BATCH = 16000; // characters
  const AGAIN = 1000; // ms until a batch is sent again
  const PATIENCE = 5000; // ms until an answer is missed
  const READ = 30; // lines that are read out, at most, of what came together
  const ESCAPES = new RegExp(
    "\\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)?|[ -/]*[0-~])|[\\x00-\\x08\\x0b-\\x1f\\x7f]", "g");
  const SUPPOSED = "If several pages of Pierhead are open, close some: a browser keeps few connections to one server";

  let place = ""; // of the terminal that is open
  let stream = null;
  let waiting = "";
  let number = 1;
  let sending = false;
  let unread = "";

  const terminal = new window.Terminal({
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
    fontSize: 14,
    scrollback: 5000,
    linkHandler: { activate: () => {} },
    theme: {
      background: "#0b1c22", foreground: "#d9e6e9", cursor: "#f2b84b", cursorAccent: "#0b1c22",
      selectionBackground: "#2b5462", black: "#8a9aa0", red: "#ff8f84", green: "#7fd6a3", yellow: "#f0cb72",
      blue: "#8dbcf7", magenta: "#dca3ea", cyan: "#7fd4e0", white: "#ffffff", brightBlack: "#8a9aa0",
      brightRed: "#ff8f84", brightGreen: "#7fd6a3", brightYellow: "#f0cb72", brightBlue: "#8dbcf7",
      brightMagenta: "#dca3ea", brightCyan: "#7fd4e0", brightWhite: "#ffffff",
    },
  });
  const fit = new window.FitAddon.FitAddon();
  terminal.loadAddon(fit);

  function say(words) {
    if (state.textContent !== words) state.textContent = words;
  }

  const pause = (time) => new Promise((done) => { window.setTimeout(done, time); });

  async function post(address, value, more = {}) {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
    const late = window.setTimeout(() => say(`No answer yet. ${SUPPOSED}`), PATIENCE);
    try {
      const answer = await fetch(address, { method: "POST", headers, body: JSON.stringify(value), redirect: "manual", ...more });
      const isJson = (answer.headers.get("Content-Type") || "").startsWith("application/json");
      const said = isJson ? await answer.json() : {};
      if (!answer.ok && !isJson) said.refused = "It was refused: load this page again";
      return { ...said, gone: said.gone || (!answer.ok && !isJson && answer.status < 500) };
    } finally {
      window.clearTimeout(late);
    }
  }

  // Typed

  async function send() {
    if (sending) return;
    sending = true;
    const here = place;
    let keys = ""; // the same until it is answered: it may have been typed although its answer was lost
    while ((waiting || keys) && place === here) {
      if (!keys) {
        const isCut = waiting.length > BATCH && /[\ud800-\udbff]/.test(waiting[BATCH - 1]);
        keys = waiting.slice(0, isCut ? BATCH - 1 : BATCH);
        waiting = waiting.slice(keys.length);
      }
      let said;
      try {
        said = await post(here, { number, keys });
      } catch {
        said = { refused: "Pierhead does not answer: what you type waits" };
      }
      if (place !== here) break;
      if (said.gone) { over(said.refused); break; }
      if (said.refused) {
        say(said.refused);
        await pause(AGAIN);
      } else {
        keys = "";
        number += 1;
        say("Connected");
      }
    }
    sending = false;
    if (waiting && place) send();
  }

  terminal.onData((keys) => {
    if (!place) return;
    waiting += keys;
    send();
  });
  terminal.onResize(({ cols, rows }) => {
    if (place) post(place, { columns: cols, rows }).catch(() => {});
  });
  terminal.attachCustomKeyEventHandler((event) => !(event.key === "Tab" && event.shiftKey));
  window.addEventListener("resize", () => { if (!box.hidden) fit.fit(); });

  // Printed

  function read(text) {
    unread += text.replace(ESCAPES, "").replace(/\r/g, "");
    const whole = unread.split("\n");
    unread = whole.pop().slice(-2000);
    const said = whole.filter((one) => one.trim());
    if (said.length > READ) said.splice(0, said.length - READ, `${said.length - READ} lines before these`);
    for (const one of said) {
      const line = document.createElement("p");
      line.textContent = one.slice(0, 500);
      lines.append(line);
    }
    while (lines.childElementCount > 2 * READ) lines.firstElementChild.remove();
  }

  function follow() {
    stream = new EventSource(place);
    stream.addEventListener("began", () => say("Connected"));
    stream.addEventListener("message", (event) => {
      const text = JSON.parse(event.data);
      terminal.write(text);
      read(text);
    });
    stream.addEventListener("end", (event) => over(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) leave("the stream was refused: load this page again");
      else if (stream) say("Interrupted: trying again");
    });
  }

  // From one end to the other

  function show(isOpen) {
    form.querySelector("[type=submit]").hidden = isOpen;
    ending.hidden = !isOpen;
    for (const field of form.querySelectorAll("input, select")) field.disabled = isOpen && field.type !== "hidden";
  }

  function over(sentence) {
    if (!place) return;
    if (stream) stream.close();
    stream = null;
    place = waiting = "";
    if (unread) read("\n");
    say(`Ended: ${sentence}`);
    terminal.write(`\r\n\x1b[0m[ended: ${sentence.replace(ESCAPES, "")}]\r\n`);
    terminal.options.disableStdin = true;
    show(false);
  }

  // Also where a browser ends the stream of a page that is being left before it says that it is.
  function leave(sentence) {
    if (!place) return;
    post(place, { end: true }, { keepalive: true }).catch(() => {});
    over(sentence);
  }

  async function open() {
    const fields = form.elements;
    const wanted = { container: fields.container ? fields.container.value : "", command: fields.command.value };
    box.hidden = false;
    if (!terminal.element) terminal.open(box);
    terminal.reset();
    lines.replaceChildren();
    fit.fit();
    say("Connecting");
    show(true);
    let said;
    try {
      said = await post(window.location.pathname, { ...wanted, columns: terminal.cols, rows: terminal.rows });
    } catch {
      said = { refused: "Pierhead does not answer" };
    }
    if (!said.place) {
      say(`Refused: ${said.refused}`);
      show(false);
      return;
    }
    place = said.place;
    number = 1;
    waiting = unread = "";
    terminal.options.disableStdin = false;
    terminal.focus();
    follow();
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); if (!place) open(); });
  ending.addEventListener("click", () => { if (place) post(place, { end: true }).catch(() => {}); });
  window.addEventListener("pagehide", () => leave("this page was left"));
  show(false);
  say("Not open yet");
})();
